"""The rollup counts no rise that the meter cannot have measured, and tells of it."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.events.open_events import REPEAT_MS, ROLLUP_KINDS, RUN_KINDS, read_open
from ingest.rollup.job import Rollup
from ingest.rollup.series.facts import Joint, read_facts
from ingest.rollup.service import ParkFolder, Service
from ingest.store.contract import Store
from metering.messages.birth import CounterFacts, MeterFacts
from metering.park.dated import Dated, Span
from metering.quantities import Medium
from metering.series import IntervalQuality, rollup_database
from tests.peers.small_park import HOUR, MINUTE, T0, SmallPark, small_park_in

pytestmark = pytest.mark.servers

IMPORT, USE, VOLUME = "energy_import_wh", "electricity_use_wh", "volume_l"
SUSPECT, ESTIMATED, MISSING = IntervalQuality.SUSPECT, IntervalQuality.ESTIMATED, IntervalQuality.MISSING
GOOD = (IntervalQuality.MEASURED, IntervalQuality.INTERPOLATED)
#: 60 kW.
PER_MINUTE = 1000
TRUE_SLOT = 15 * PER_MINUTE


@pytest.fixture
def park(tmp_path: Path, any_store: Store) -> SmallPark:
    return small_park_in(any_store, tmp_path)


def true(minute: int) -> int:
    return 500_000 + PER_MINUTE * minute


def exchanged(minute: int) -> int:
    """Another device from minute 50 on, 2.5 MWh higher: a slot of 10 MW."""
    return true(minute) + (2_500_000 if minute >= 50 else 0)


def corrupt(minute: int) -> int:
    """Half an hour of corrupt reads, 99 MWh higher: 198 MW."""
    return true(minute) + (99_000_000 if 50 <= minute < 80 else 0)


def write(park: SmallPark, minutes: Iterable[int], shown: Callable[[int], int]) -> None:
    park.write("electricity", "main", [(m * MINUTE, {IMPORT: float(shown(m))}) for m in minutes])


def announced(park: SmallPark, at_ms: int, more: Mapping[str, Any], gateway: str = "gw-1") -> None:
    facts = MeterFacts("m", "p", Medium.ELECTRICITY, 60, counters={IMPORT: CounterFacts(1, None)})
    park.announce_facts("main", replace(facts, **more), at_ms=at_ms, gateway=gateway)


def by_fuse(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    meters = {**park.park.meters, "main": replace(park.park.meters["main"], fuse_a=250)}
    park.park = replace(park.park, meters=meters)


def by_transformer(park: SmallPark) -> None:
    announced(park, 0, {"ct_primary_a": 250.0})


def by_its_own_past(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    write(park, range(-27 * 60, 0), true)


BASES = pytest.mark.parametrize("known", [by_fuse, by_transformer, by_its_own_past])


def slots(park: SmallPark, count: int) -> dict[int, tuple[float | None, int]]:
    points = park.points("meter_15m", meter="main")
    return {slot: (points[slot].get(IMPORT), points[slot][f"{IMPORT}_quality"]) for slot in range(count)}


def events(park: SmallPark) -> dict[str, str]:
    return {one.kind: one.text for one in read_open(park.store, park.name, ROLLUP_KINDS)}


@BASES
def test_an_exchanged_meter_makes_no_slot_of_10_mw(
    park: SmallPark, known: Callable[[SmallPark], None]
) -> None:
    known(park)
    write(park, range(181), exchanged)

    park.once(3 * HOUR)

    found = slots(park, 12)
    assert found[3] == (TRUE_SLOT - PER_MINUTE, SUSPECT)
    assert all(value == TRUE_SLOT for slot, (value, _) in found.items() if slot != 3)
    # For the three quarters of an hour after it the reads may be corrupt as well.
    assert [quality for _, quality in found.values()] == [0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 0, 0]
    group = park.points("group_15m", level="park")
    assert (group[3][USE], group[3][f"{USE}_quality"], group[3][f"{USE}_coverage"]) == (14_000, SUSPECT, 0)
    text = events(park)["implausible_rise"]
    assert "Meter main: energy_import_wh rose by 2,501,000 Wh within 60 s" in text
    assert "fuse_a" in text


@BASES
def test_half_an_hour_of_corrupt_reads_is_not_energy(
    park: SmallPark, known: Callable[[SmallPark], None]
) -> None:
    known(park)
    write(park, range(181), corrupt)

    park.once(3 * HOUR)

    found = slots(park, 12)
    assert max(value or 0 for value, _ in found.values()) <= 2 * TRUE_SLOT
    assert sum(value or 0 for value, _ in found.values()) == 12 * TRUE_SLOT
    assert all(found[slot][1] == SUSPECT for slot in (3, 4, 5))
    assert all(found[slot] == (TRUE_SLOT, 0) for slot in (0, 1, 2, 7, 8, 9, 10, 11))
    use = park.values(USE, "group_15m", level="park")
    assert max(value or 0 for slot, value in use.items() if slot >= 0) <= 2 * TRUE_SLOT
    assert "implausible_rise" in events(park)


@BASES
def test_a_running_rollup_and_one_at_once_agree(
    tmp_path: Path, any_store: Store, known: Callable[[SmallPark], None]
) -> None:
    live, at_once = small_park_in(any_store, tmp_path), small_park_in(any_store, tmp_path)
    for shown in (live, at_once):
        known(shown)
    running = Rollup(live.store, live.park)
    for minute in range(181):
        write(live, [minute], corrupt)
        running.cycle(T0 + minute * MINUTE + 20_000)
    write(at_once, range(181), corrupt)
    at_once.once(3 * HOUR)

    assert slots(live, 12) == slots(at_once, 12)


def test_one_corrupt_read_is_rejected_and_told(park: SmallPark, caplog: pytest.LogCaptureFixture) -> None:
    by_transformer(park)
    # Within the return time a smaller one was a spike before, too; this one falls to more than half of it.
    write(park, range(121), lambda m: true(m) + (40_000 if m == 50 else 0))

    with caplog.at_level(logging.WARNING, logger="ingest"):
        park.once(2 * HOUR)
        park.once(2 * HOUR + 10_000)

    assert slots(park, 8) == dict.fromkeys(range(8), (TRUE_SLOT, 0))
    (record,) = (one for one in caplog.records if "rose by" in one.message)
    assert "corrupt" in record.message


def test_a_catch_up_after_a_long_gap_is_energy(park: SmallPark) -> None:
    by_transformer(park)
    write(park, [*range(21), *range(620, 661)], true)

    park.once(11 * HOUR)

    found = slots(park, 44)
    assert sum(value or 0 for value, _ in found.values()) == 44 * TRUE_SLOT
    assert {quality for _, quality in found.values()} <= set(GOOD)
    assert events(park) == {}


def test_a_load_that_is_new_is_no_fault_of_the_reads(park: SmallPark) -> None:
    """Nothing for a day, then 90 kW from a meter without fuse or transformer that is read every minute."""
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    write(park, range(-27 * 60, 0), lambda _m: 500_000)
    write(park, range(181), lambda m: 500_000 + 1500 * m)

    park.once(3 * HOUR)

    assert slots(park, 12) == dict.fromkeys(range(12), (22_500, 0))


def test_a_fuse_that_is_far_too_small_leaves_no_value_and_is_told_once(
    park: SmallPark, caplog: pytest.LogCaptureFixture
) -> None:
    """Never zero: what was used is not known then."""
    by_fuse(park)
    write(park, range(181), lambda m: 500_000 + 10_000 * m)

    with caplog.at_level(logging.WARNING, logger="ingest"):
        park.once(3 * HOUR)

    assert slots(park, 12) == dict.fromkeys(range(12), (None, MISSING))
    assert sum("fuse_a" in record.message for record in caplog.records) == 1


def test_water_is_bound_by_what_a_pipe_can_carry(park: SmallPark) -> None:
    park.announce("well", Medium.WATER, VOLUME)
    rows = [(m * MINUTE, {VOLUME: 10_000.0 + 10 * m + 2_000_000 * (m >= 50)}) for m in range(121)]
    park.write("water", "well", rows)

    park.once(2 * HOUR)

    values = park.values(VOLUME, meter="well")
    assert values == {slot: 140 if slot == 3 else 150 for slot in range(8)}
    assert park.values(f"{VOLUME}_quality", meter="well")[3] == SUSPECT


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({"serial": "A1"}, {"serial": "B2"}, "serial number A1 -> B2"),
        ({}, {"profile": "q"}, "profile p -> q"),
        ({"ct_primary_a": 250.0}, {"ct_primary_a": 400.0}, "current transformer (A) 250.0 -> 400.0"),
    ],
)
def test_another_device_in_a_birth_is_a_joint(
    park: SmallPark, before: dict[str, Any], after: dict[str, Any], change: str
) -> None:
    """The new device begins 20 kWh higher, which a load could have used."""
    announced(park, 0, before)
    write(park, range(50), true)
    # It was there since minute 55; its birth came two hours later, when the broker was back.
    announced(park, 2 * HOUR, {**after, "since_ms": T0 + 55 * MINUTE})
    write(park, range(56, 181), lambda m: true(m) + 20_000)

    park.once(3 * HOUR)

    found = slots(park, 12)
    assert found[3] == ((4 + 4) * PER_MINUTE, ESTIMATED)
    assert all(found[slot] == (TRUE_SLOT, 0) for slot in range(12) if slot != 3)
    assert change in events(park)["meter_exchanged"]


def test_a_slot_within_an_exchange_has_no_value(park: SmallPark) -> None:
    announced(park, 0, {"serial": "A1"})
    write(park, range(41), true)
    announced(park, 80 * MINUTE, {"serial": "B2", "since_ms": T0 + 79 * MINUTE})
    write(park, range(80, 181), lambda m: 7 + PER_MINUTE * m)

    park.once(3 * HOUR)

    found = slots(park, 7)
    assert [found[slot] for slot in (2, 3, 4, 5)] == [
        (10 * PER_MINUTE, ESTIMATED),
        (None, MISSING),
        (None, MISSING),
        (10 * PER_MINUTE, ESTIMATED),
    ]
    assert park.values(USE, "group_15m", level="park")[3] is None


@pytest.mark.parametrize("later", [{"serial": "A1"}, {"serial": None}, {"serial": "A1", "poll_s": 30}])
def test_a_birth_of_the_same_device_is_no_joint(park: SmallPark, later: dict[str, Any]) -> None:
    announced(park, 0, {"serial": "A1"})
    announced(park, HOUR, later)
    write(park, range(181), true)

    park.once(3 * HOUR)

    assert slots(park, 12) == dict.fromkeys(range(12), (TRUE_SLOT, 0))
    assert events(park) == {}


@pytest.mark.parametrize(
    ("seen_by_two", "expected"),
    [
        ("A1", ()),
        (None, ()),
        ("B2", (Joint(T0 + HOUR, "serial number A1 -> B2"),)),
    ],
)
def test_a_meter_that_goes_to_another_gateway_is_the_same_unless_that_says_otherwise(
    park: SmallPark, seen_by_two: str | None, expected: tuple[Joint, ...]
) -> None:
    """The second gateway looked at another meter before, and says so after the first has lost it."""
    held = Dated((Span("gw-1", to_ms=T0 + HOUR), Span("gw-2", T0 + HOUR)))
    meters = {**park.park.meters, "main": replace(park.park.meters["main"], gateway=held)}
    park.park = replace(park.park, meters=meters)
    announced(park, 0, {"serial": "A1"})
    announced(park, 10 * MINUTE, {"serial": "X9"}, "gw-2")
    announced(park, 50 * MINUTE, {"serial": seen_by_two or "A1"}, "gw-2")
    announced(park, 2 * HOUR, {"serial": seen_by_two}, "gw-2")
    announced(park, 3 * HOUR, {"serial": "Y8"}, "gw-1")

    assert read_facts(park.store, park.park)["main"].joints == expected


def test_the_rollup_tells_of_it_on_its_pages(park: SmallPark, tmp_path: Path) -> None:
    by_transformer(park)
    write(park, range(61), exchanged)
    running = Service(
        park.store,
        park.park,
        ParkFolder(tmp_path, park.name),
        clock_ms=lambda: T0 + HOUR + 20_000,
        jitter=lambda: 0.0,
    )
    running._cycle(T0 + HOUR + 20_000)

    pages = running.health.routes()
    assert b"rose by 2,501,000 Wh" in pages["/healthz"]().body
    assert pages["/healthz"]().status == 200
    assert b"zonewise_rollup_meter_notices_total 1" in pages["/metrics"]().body


def test_an_event_lasts_a_day_and_run_does_not_take_it_for_its_own(park: SmallPark) -> None:
    by_transformer(park)
    write(park, range(181), exchanged)
    park.once(3 * HOUR)

    assert read_open(park.store, park.name, RUN_KINDS) == []
    running = Rollup(park.store, park.park)
    running.cycle(T0 + 3 * HOUR + REPEAT_MS)
    assert len(running.board.texts) == 1
    running.cycle(T0 + 28 * HOUR)
    assert running.board.texts == ()
    assert events(park) == {}
    query = 'SELECT "state" FROM "event" WHERE "kind" = \'implausible_rise\' AND "subject" = \'main\''
    (points,) = park.store.query(rollup_database(park.name), query)
    assert [state for _, state in points.rows] == [1, 1, 0]


def test_facts_differ_by_the_device_and_not_by_since_when() -> None:
    facts = MeterFacts("m", "p", Medium.ELECTRICITY, 10)

    assert facts == replace(facts, since_ms=5)
    assert facts != replace(facts, ct_primary_a=250.0)
