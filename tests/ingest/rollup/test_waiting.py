"""Groups wait five minutes for their meters, no longer; rows that are no truth make no slots and no members."""

from pathlib import Path

import pytest

from ingest.rollup.job import Rollup
from ingest.store.contract import Store
from metering.quantities import Medium
from metering.readings import ReadingFlag
from metering.series import SLOT_MS, IntervalQuality
from tests.peers.memory_store import MemoryStore
from tests.peers.small_park import HOUR, MINUTE, T0, SmallPark, small_park_in

IMPORT, VOLUME = "energy_import_wh", "volume_l"
USE, COVERAGE, QUALITY = "electricity_use_wh", "electricity_use_wh_coverage", "electricity_use_wh_quality"
DAY = 24 * HOUR
WEEK_S = 7 * 24 * 3600
MISSING = IntervalQuality.MISSING
UNSYNCHRONISED = int(ReadingFlag.CLOCK_UNSYNCHRONISED)
#: 2020-01-02 00:00 UTC, after `T0`.
IN_2020 = 1_577_923_200_000 - T0


@pytest.fixture(params=["memory", pytest.param("influxdb-1", marks=pytest.mark.servers)])
def park(request: pytest.FixtureRequest, tmp_path: Path) -> SmallPark:
    store: Store = MemoryStore()
    if request.param != "memory":
        store = request.getfixturevalue("influxdb1")
    return small_park_in(store, tmp_path)


def rising(park: SmallPark, meter: str, minutes: range, *, per_minute: int = 10) -> None:
    rows = [(m * MINUTE, {IMPORT: 10_000.0 + per_minute * m}) for m in minutes]
    park.write("electricity", meter, rows)


def weekly(park: SmallPark, meter: str, *days: int) -> None:
    park.announce(meter, Medium.ELECTRICITY, IMPORT, poll_s=WEEK_S)
    park.write("electricity", meter, [(day * DAY, {IMPORT: 10_000.0 + 960 * day}) for day in days])


def test_a_weekly_meter_holds_its_group_back_for_five_minutes_and_no_other_at_all(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    weekly(park, "press", -14, -7)  # in zone south and of the mill
    rising(park, "main", range(10 * 60 + 2))
    running = Rollup(park.store, park.park)
    end_ms = T0 + 10 * HOUR

    running.cycle(end_ms + 20_000)
    assert park.values(USE, "group_15m", group="mill").get(39) is None
    assert 39 not in park.values(QUALITY, "group_15m", group="mill")
    running.cycle(end_ms + 5 * MINUTE - 1)
    assert 39 not in park.values(QUALITY, "group_15m", group="mill")
    running.cycle(end_ms + 5 * MINUTE)

    assert park.values(QUALITY, "group_15m", group="mill")[39] == MISSING
    assert park.values(COVERAGE, "group_15m", group="mill")[39] == 0
    # Zone north passes on to the press and needs it, too; the park does not.
    assert park.values(USE, "group_15m", group="north")[39] is None
    assert park.values(COVERAGE, "group_15m", group="north")[39] == 0.5
    assert {
        slot: value for slot, value in park.values(USE, "group_15m", level="park").items() if slot >= 0
    } == (dict.fromkeys(range(40), 150))


def test_what_a_meter_gives_later_is_put_in_the_place_of_what_stood_with_its_coverage(
    park: SmallPark,
) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    weekly(park, "press", -7, 0)
    rising(park, "main", range(61))
    running = Rollup(park.store, park.park)
    running.cycle(T0 + HOUR + 6 * MINUTE)
    assert park.values(USE, "group_15m", group="mill")[3] is None

    weekly(park, "press", -7, 0, 7)
    rising(park, "main", range(61, 7 * 24 * 60 + 2))
    running.cycle(T0 + 7 * DAY + 20_000)

    mill, north = (park.values(USE, "group_15m", group=group) for group in ("mill", "north"))
    assert [mill[slot] for slot in range(7 * 96)] == [10] * 7 * 96
    assert [north[slot] for slot in range(7 * 96)] == [140] * 7 * 96
    assert park.points("group_15m_history", group="mill") == {}


def test_an_unassigned_meter_delays_no_group_at_all(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    weekly(park, "stray", -14, -7)
    rising(park, "main", range(10 * 60 + 2))

    Rollup(park.store, park.park).cycle(T0 + 10 * HOUR + 20_000)

    park_use = park.values(USE, "group_15m", level="park")
    assert [park_use[slot] for slot in range(40)] == [150] * 40


def test_a_group_whose_meters_are_there_does_not_wait_for_others(park: SmallPark) -> None:
    for meter in ("main", "press"):
        park.announce(meter, Medium.ELECTRICITY, IMPORT)
        rising(park, meter, range(61))
    park.announce("well", Medium.WATER, VOLUME, poll_s=3600)
    park.write("water", "well", [(minute * MINUTE, {VOLUME: 5.0}) for minute in (-90, -30)])
    running = Rollup(park.store, park.park)

    running.cycle(T0 + HOUR + 20_000)

    assert 3 in park.values(USE, "group_15m", group="north")
    assert 3 not in park.values(USE, "group_15m", group="south")
    running.cycle(T0 + HOUR + 5 * MINUTE)
    assert park.values(USE, "group_15m", group="south")[3] == 150
    assert park.values("water_use_l_quality", "group_15m", group="south")[3] == MISSING


def test_rows_of_an_unsynchronised_clock_are_in_no_slot_and_no_member(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rows = [(IN_2020 + m * MINUTE, {"quality": UNSYNCHRONISED | 2, IMPORT: 7.0}) for m in range(3)]
    park.write("electricity", "main", rows)
    park.write("electricity", "press", rows)
    park.write(
        "environment", "thermometer", [(20 * MINUTE, {"quality": UNSYNCHRONISED, "temperature_c": 5.0})]
    )
    rising(park, "main", range(61))
    park.write("electricity", "main", [(25 * MINUTE + 1, {"quality": UNSYNCHRONISED, IMPORT: 99_999.0})])
    park.notice("main", from_ms=IN_2020, to_ms=IN_2020 + 2 * MINUTE, at_ms=HOUR)

    running = Rollup(park.store, park.park)
    running.cycle(T0 + HOUR + 20_000, is_patient=False)

    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(4), 150)
    assert park.values(f"{IMPORT}_quality", meter="main") == dict.fromkeys(range(4), 0)
    assert running.left_out == ("main",)  # what is older than a slot is named where a notice told of it
    running.cycle(T0 + 2 * HOUR + 19_999)
    assert running.left_out == ("main",)
    running.cycle(T0 + 2 * HOUR + 15 * MINUTE)
    assert running.left_out == ()
    assert park.points("meter_15m", meter="press") == {}
    assert park.points("member", meter="press") == {}
    assert park.points("member", meter="thermometer") == {}
    assert park.points("member", meter="main", level="zone").keys() == set(range(8))


def test_other_bits_of_quality_leave_the_counters_good(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    every_other = 0xFFFF & ~UNSYNCHRONISED
    rows = [(m * MINUTE, {"quality": every_other, IMPORT: 10.0 + m}) for m in range(61)]
    park.write("electricity", "main", rows)

    park.once(HOUR)

    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(4), 15)


@pytest.mark.parametrize("is_late", [False, True])
def test_one_row_of_2020_that_calls_itself_good_makes_no_slot(park: SmallPark, *, is_late: bool) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, "main", range(61))
    running = Rollup(park.store, park.park)
    if is_late:
        running.cycle(T0 + HOUR + 20_000)
    park.write("electricity", "main", [(IN_2020, {IMPORT: 7.0})])
    park.notice("main", from_ms=IN_2020, to_ms=IN_2020, at_ms=HOUR + 20_000)

    running.cycle(T0 + HOUR + 30_000, is_patient=False)
    park.once(HOUR + 40_000)

    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(4), 150)
    assert park.points("member", level="zone", meter="main").keys() == set(range(4))


def test_a_read_after_two_months_of_silence_counts_from_the_second_one(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT, poll_s=900)
    rows = [(slot * SLOT_MS, {IMPORT: 10_000.0 + slot}) for slot in (*range(5), *range(7000, 7010))]
    park.write("electricity", "main", rows[:6])
    running = Rollup(park.store, park.park)
    running.cycle(T0 + 7000 * SLOT_MS + MINUTE)
    assert park.values(IMPORT, meter="main")[5] is None

    park.write("electricity", "main", rows[6:])
    running.cycle(T0 + 7010 * SLOT_MS + MINUTE)

    values = park.values(IMPORT, meter="main")
    assert [values[slot] for slot in range(7009)] == [1] * 7009
