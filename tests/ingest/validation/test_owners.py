"""Which gateway owns a meter: the one rule of registry, facts and members."""

from zoneinfo import ZoneInfo

from ingest.validation.announcements import Announcement
from ingest.validation.owners import first_announcers, maybe_owners
from metering.messages.birth import MeterFacts
from metering.park.dated import Dated, Span, always
from metering.park.model import Park, ParkMeter
from metering.quantities import Medium

RELATION = Dated((Span("gw-2", from_ms=10, to_ms=20),))
PARK = Park(
    "demo",
    "Demo",
    ZoneInfo("UTC"),
    {},
    {},
    {},
    {
        "related": ParkMeter("related", "related", Medium.WATER, gateway=RELATION),
        "free": ParkMeter("free", "free", Medium.WATER),
    },
)
FACTS = MeterFacts("model", "0f", Medium.WATER, 60)


def test_a_relation_outranks_the_first_announcement() -> None:
    assert maybe_owners(PARK, "related", "gw-1") == RELATION


def test_without_a_relation_the_first_announcer_owns_the_meter_for_all_time() -> None:
    assert maybe_owners(PARK, "free", "gw-1") == maybe_owners(PARK, "stranger", "gw-1") == always("gw-1")


def test_what_nobody_has_announced_has_no_owner() -> None:
    assert maybe_owners(PARK, "free", None) is None
    assert maybe_owners(PARK, "stranger", None) is None


def test_the_earliest_announcement_with_the_mark_decides() -> None:
    announcements = [
        Announcement("gw-2", "m", 20, FACTS, is_first=True),
        Announcement("gw-3", "m", 1, FACTS),
        Announcement("gw-1", "m", 10, FACTS, is_first=True),
    ]

    assert first_announcers(announcements) == {"m": "gw-1"}
