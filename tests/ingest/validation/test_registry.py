"""Authority of gateway over meter, and births, without I/O."""

from dataclasses import replace
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest

from ingest.validation.announcements import Announcement, encode_announcement
from ingest.validation.registry import MAX_CHANGES_A_DAY, MAX_UNKNOWN, Registry
from ingest.validation.rows import RowReason
from metering.errors import MalformedMessage
from metering.messages.birth import Birth, CounterFacts, MeterFacts
from metering.park.dated import Dated, Span, always
from metering.park.model import Park, ParkMeter
from metering.quantities import Medium

EPOCH = "00000000000000aa"
FACTS = MeterFacts("eastron-sdm630", "0123", Medium.ELECTRICITY, 10.0)
OTHER = MeterFacts("eastron-sdm630", "4567", Medium.ELECTRICITY, 10.0)
T0 = 1_790_000_000_000


def park(**gateways: Dated[str]) -> Park:
    meters = {
        meter: ParkMeter(meter, meter, Medium.ELECTRICITY, gateway=relation)
        for meter, relation in gateways.items()
    }
    return Park("demo", "Demo", ZoneInfo("UTC"), {}, {}, {}, meters)


def birth(gateway: str, time_ms: int, **meters: MeterFacts) -> Birth:
    return Birth(gateway, EPOCH, time_ms, "test", meters)


def test_a_dated_relation_decides_by_the_time_of_the_row() -> None:
    swapped = Dated((Span("gw-1", to_ms=T0), Span("gw-2", from_ms=T0, to_ms=T0 + 1000)))
    registry = Registry(park(m=swapped))
    foreign = RowReason.FOREIGN_METER
    for _ in range(2):  # the second time from the cache
        assert registry.maybe_refusal("gw-1", "m", T0 - 1) is None
        assert registry.maybe_refusal("gw-1", "m", T0) is foreign
        assert registry.maybe_refusal("gw-2", "m", T0 - 1) is foreign
        assert registry.maybe_refusal("gw-2", "m", T0) is None
        # Nobody held it then, and nobody is guessed.
        assert registry.maybe_refusal("gw-2", "m", T0 + 1000) is foreign


def test_a_relation_outranks_a_birth() -> None:
    registry = Registry(park(m=always("gw-2")))
    registry.announce(birth("gw-1", T0, m=FACTS))
    assert registry.maybe_refusal("gw-1", "m", T0) is RowReason.FOREIGN_METER
    assert registry.maybe_refusal("gw-2", "m", T0) is None


def test_the_medium_of_a_row_is_that_of_its_meter() -> None:
    registry = Registry(park(known=Dated()))
    wrong = RowReason.WRONG_MEDIUM
    assert registry.maybe_refusal("gw-1", "new", T0, "water") is None, "nobody has said what it measures"
    registry.announce(birth("gw-1", T0, new=FACTS, known=replace(FACTS, medium=Medium.WATER)))
    for _ in range(2):  # the second time from the cache
        assert registry.maybe_refusal("gw-1", "known", T0, "electricity") is None
        # The park's description outranks the birth.
        assert registry.maybe_refusal("gw-1", "known", T0, "water") is wrong
        assert registry.maybe_refusal("gw-1", "new", T0, "electricity") is None
        assert registry.maybe_refusal("gw-1", "new", T0, "water") is wrong
        assert registry.maybe_refusal("gw-2", "new", T0, "water") is RowReason.FOREIGN_METER
    # Its owner may say that it is another one from now on; rows of both are taken.
    registry.announce(birth("gw-1", T0 + 9, new=replace(FACTS, medium=Medium.WATER)))
    assert registry.maybe_refusal("gw-1", "new", T0, "water") is None
    assert registry.maybe_refusal("gw-1", "new", T0, "electricity") is None


def test_without_relation_the_first_announcer_owns_the_meter_known_or_not() -> None:
    registry = Registry(park(known=Dated()))
    for meter in ("known", "unknown"):
        assert registry.maybe_refusal("gw-2", meter, T0) is None, "nobody has announced it yet"
        # The clock of the second is behind; first is who came first.
        registry.announce(birth("gw-1", T0, **{meter: FACTS}))
        registry.announce(birth("gw-2", T0 - 9999, **{meter: FACTS}))
        assert registry.maybe_refusal("gw-1", meter, T0) is None
        assert registry.maybe_refusal("gw-2", meter, T0) is RowReason.FOREIGN_METER


def test_what_is_stored_brings_the_same_registry_back() -> None:
    before = Registry(park())
    told = [
        *before.announce(birth("gw-1", T0, a=FACTS, b=FACTS)),
        *before.announce(birth("gw-2", T0 - 5, a=FACTS, c=FACTS)),
        *before.announce(birth("gw-1", T0 + 5, a=OTHER)),
    ]
    for stored in permutations(told):
        after = Registry(park(), announced=stored)
        for meter in "abc":
            for gateway in ("gw-1", "gw-2"):
                expected = before.maybe_refusal(gateway, meter, T0)
                assert after.maybe_refusal(gateway, meter, T0) is expected
        assert after.announce(birth("gw-1", T0 + 9, a=OTHER, b=FACTS)) == ()


def test_only_changes_are_points_whatever_the_order_of_the_times() -> None:
    registry = Registry(park())
    assert len(registry.announce(birth("gw-1", T0, m=FACTS))) == 1
    assert registry.announce(birth("gw-1", T0, m=FACTS)) == ()
    assert registry.announce(birth("gw-1", T0 + 10, m=FACTS)) == ()
    (change,) = registry.announce(birth("gw-1", T0 + 20, m=OTHER))
    assert not change.is_first
    # What held before T0 + 20 is known: this says nothing new.
    assert registry.announce(birth("gw-1", T0 + 15, m=FACTS)) == ()


def test_unknown_ids_are_bounded_per_gateway() -> None:
    registry = Registry(park(known=Dated()), stored_meters=["old"])
    for number in range(MAX_UNKNOWN):
        assert registry.maybe_refusal("gw-1", f"m-{number}", T0) is None
    assert registry.maybe_refusal("gw-1", "one-more", T0) is RowReason.TOO_MANY_METERS
    assert registry.announce(birth("gw-1", T0, **{"one-more": FACTS})) == ()
    for good in ("m-1", "known", "old"):
        assert registry.maybe_refusal("gw-1", good, T0) is None
    assert registry.maybe_refusal("gw-2", "one-more", T0) is None


def test_what_the_births_of_a_gateway_change_in_a_day_is_bounded() -> None:
    registry = Registry(park())
    meters = {f"m-{number}": FACTS for number in range(300)}

    def announce(number: int, at_ms: int) -> int:
        told = {meter: replace(FACTS, profile=f"{number:x}") for meter in meters}
        return len(registry.announce(birth("gw-1", at_ms, **told), at_ms))

    fitting = MAX_CHANGES_A_DAY // 300
    assert sum(announce(number, T0 + number) for number in range(fitting)) == 300 * fitting
    for number in range(fitting, 600):
        with pytest.raises(MalformedMessage, match="too_many_changes"):
            announce(number, T0 + number)
    assert announce(fitting - 1, T0 + 600) == 0, "what changes nothing is no change"
    assert len(registry.announce(birth("gw-2", T0, m=FACTS), T0)) == 1
    # The next day it goes on, and what was refused has left nothing behind.
    assert announce(599, T0 + 86_400_000) == 300


def test_a_new_id_must_be_one() -> None:
    assert Registry(park()).maybe_refusal("gw-1", "M 1", T0) is RowReason.BAD_ROW


def test_an_announcement_is_a_point_at_the_births_own_time() -> None:
    facts = MeterFacts("model x", "0f", Medium.WATER, 60, "7", {"volume_l": CounterFacts(1.0, 1e6)})
    line = encode_announcement("demo", Announcement("gw-1", "m", T0, facts, is_first=True)).decode()
    assert line == (
        'meters,gateway=gw-1,meter=m,park=demo model="model x",profile="0f",medium="water",serial="7",poll_s=60.0,'
        r'counters="{\"volume_l\":{\"modulus\":1000000.0,\"step\":1.0}}",first=1i ' + str(T0)
    )


def test_what_is_known_of_transformers_and_since_when_stands_in_the_point_and_is_read_back() -> None:
    facts = replace(FACTS, ct_primary_a=250.0, vt_primary_v=20_000.0, since_ms=T0 - 5000)
    line = encode_announcement("demo", Announcement("gw-1", "m", T0, facts)).decode()

    assert f"ct_primary_a=250.0,vt_primary_v=20000.0,since_ms={T0 - 5000}i" in line


def test_since_when_alone_is_no_change() -> None:
    registry = Registry(park())
    assert len(registry.announce(birth("gw-1", T0, known=FACTS))) == 1

    assert registry.announce(birth("gw-1", T0 + 1, known=replace(FACTS, since_ms=T0))) == ()
    assert len(registry.announce(birth("gw-1", T0 + 2, known=replace(FACTS, ct_primary_a=250.0)))) == 1
