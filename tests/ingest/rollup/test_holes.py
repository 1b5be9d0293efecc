"""No slot is left out for good: whatever came late, failed or was killed in between."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.rollup.job import Rollup
from ingest.store.contract import Store
from ingest.store.errors import StoreUnavailable
from metering.quantities import Medium
from metering.series import raw_database, rollup_database
from tests.peers.failing_store import FailingStore, Fault, Killed, fails, killing
from tests.peers.memory_store import MemoryStore
from tests.peers.small_park import HOUR, MINUTE, T0, SmallPark, small_park_in

IMPORT, EXPORT = "energy_import_wh", "energy_export_wh"
USE = "electricity_use_wh"


@pytest.fixture(params=["memory", pytest.param("influxdb-1", marks=pytest.mark.servers)])
def park(request: pytest.FixtureRequest, tmp_path: Path) -> SmallPark:
    store: Store = MemoryStore()
    if request.param != "memory":
        store = request.getfixturevalue("influxdb1")
    return small_park_in(store, tmp_path)


def rising(park: SmallPark, minutes: range, *, meter: str = "main", per_minute: int = 50) -> None:
    rows = [(m * MINUTE, {IMPORT: 10_000.0 + per_minute * m}) for m in minutes]
    park.write("electricity", meter, rows)


def late_row(park: SmallPark, minute: int, *, value: float, at_ms: int, meter: str = "main") -> None:
    park.write("electricity", meter, [(minute * MINUTE, {IMPORT: value})])
    park.notice(meter, from_ms=minute * MINUTE, to_ms=minute * MINUTE, at_ms=at_ms)


def test_a_late_row_after_a_stop_of_three_hours_leaves_no_hole(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, range(3 * 60 + 1))
    park.once(3 * HOUR)
    rising(park, range(3 * 60 + 1, 6 * 60 + 1))
    late_row(park, 5 * 60 + 50, value=10_000.0 + 50 * (5 * 60 + 50), at_ms=6 * HOUR)

    park.once(6 * HOUR)

    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(24), 750)
    assert park.values(USE, "group_15m", level="park") == dict.fromkeys(range(24), 750)


def test_a_late_row_after_a_failed_write_leaves_no_hole(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, range(2 * 60 + 1))
    store = FailingStore(park.store)
    running = Rollup(store, park.park)
    running.cycle(T0 + 2 * HOUR + 20_000)
    rising(park, range(2 * 60 + 1, 4 * 60 + 1))
    store.before = fails("write", "meter_15m")
    with pytest.raises(StoreUnavailable):
        running.cycle(T0 + 4 * HOUR + 20_000)

    late_row(park, 3 * 60 + 50, value=10_000.0 + 50 * (3 * 60 + 50), at_ms=4 * HOUR + 25_000)
    running.cycle(T0 + 4 * HOUR + 30_000, is_patient=False)
    running.cycle(T0 + 4 * HOUR + 40_000)

    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(16), 750)
    assert park.values(USE, "group_15m", level="park") == dict.fromkeys(range(16), 750)


FAULTS: list[Callable[[], Fault]] = [
    lambda: fails("write", "meter_15m"),
    lambda: fails("write", "meter_15m", skipped=1),
    lambda: fails("write", "meter_15m", skipped=2),
    lambda: fails("write", "meter_15m_history"),
    lambda: fails("write", "group_15m"),
    lambda: fails("write", "group_15m_history"),
    lambda: fails("write", "member"),
    lambda: fails("write", "rollup_progress"),
    lambda: fails("write", "rollup_progress", skipped=1),
    lambda: fails("write", "rollup_progress", skipped=2),
    lambda: fails("write", "rollup_progress", skipped=3),
    lambda: fails("delete", "meter_15m"),
    lambda: fails("delete", "group_15m"),
]


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("number", range(len(FAULTS)))
@pytest.mark.parametrize("is_killed", [False, True])
def test_after_one_failed_request_all_is_made_up_for(
    park: SmallPark, number: int, *, is_after: bool, is_killed: bool
) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, range(2 * 60 + 1))
    rising(park, range(90), meter="press")
    store = FailingStore(park.store)
    running = Rollup(store, park.park)
    running.cycle(T0 + 2 * HOUR + 20_000, is_patient=False)
    much_changes(park)
    fault = FAULTS[number]()
    store.set(killing(fault) if is_killed else fault, is_after=is_after)

    for attempt in range(4):
        try:
            running.cycle(T0 + 5 * HOUR + 20_000 + attempt * 10_000, is_patient=False)
        except StoreUnavailable:
            continue
        except Killed:
            running = Rollup(store, park.park)

    fresh = anew(park, 5 * HOUR + 30_000)
    for name in (IMPORT, f"{IMPORT}_quality"):
        for meter in ("main", "press"):
            assert park.values(name, meter=meter) == fresh.values(name, meter=meter)
    assert park.values(USE, "group_15m", group="north") == fresh.values(USE, "group_15m", group="north")


def much_changes(park: SmallPark) -> None:
    """Fill two gaps with other values than the straight line; slots of the press lose their reads."""
    rising(park, range(2 * 60 + 1, 5 * 60 + 1))
    an_hour = {"start_ms": T0 + HOUR, "stop_ms": T0 + 2 * HOUR}
    park.store.delete(raw_database(park.name), "electricity", tags={"meter": "press"}, **an_hour)
    park.notice("press", from_ms=HOUR, to_ms=2 * HOUR, at_ms=5 * HOUR - MINUTE)
    late_row(park, 100, value=15_010.0, at_ms=5 * HOUR - MINUTE)
    late_row(park, 280, value=24_000.0, at_ms=5 * HOUR - MINUTE + 1)


def anew(park: SmallPark, at_ms: int) -> SmallPark:
    """Roll up the same raw rows in another park, at once."""
    fresh = small_park_in(park.store, park.folder)
    fresh.announce("main", Medium.ELECTRICITY, IMPORT)
    for meter, rows in park.raw_rows("electricity").items():
        fresh.write("electricity", meter, rows)
    fresh.once(at_ms)
    return fresh


def test_a_read_after_a_restart_changes_what_was_never_final(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, range(6))
    # After ten hours of silence one read that is a spike, as the next one tells.
    park.write("electricity", "main", [(10 * HOUR + 5 * MINUTE, {IMPORT: 99_000.0})])
    park.once(10 * HOUR + 9 * MINUTE)
    park.write("electricity", "main", [(10 * HOUR + 10 * MINUTE, {IMPORT: 10_250.0 + 605})])

    park.once(10 * HOUR + 20 * MINUTE)

    values = park.values(IMPORT, meter="main")
    assert [values[slot] for slot in range(1, 40)] == [15] * 39


def test_a_read_is_final_only_after_the_return_time(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, range(15), per_minute=10)
    park.write("electricity", "main", [(16 * MINUTE, {IMPORT: 90_000.0})])
    running = Rollup(park.store, park.park)
    running.cycle(T0 + 31 * MINUTE + 5000)
    assert (park.values(IMPORT, meter="main")[0] or 0) > 10_000

    park.write("electricity", "main", [(30 * MINUTE + 30_000, {IMPORT: 10_305.0})])
    running.cycle(T0 + 45 * MINUTE + 20_000)

    assert park.values(IMPORT, meter="main")[0] == 150
    assert park.values(USE, "group_15m", level="park")[0] == 150


def test_a_counter_that_is_read_again_after_days_is_interpolated_over_them(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT, EXPORT)
    day = 24 * 60
    rows = [
        (m * MINUTE, {IMPORT: 10_000.0 + m, **({} if 60 < m < 3 * day else {EXPORT: 500.0 + m})})
        for m in range(0, 3 * day + 61, 5)
    ]
    running = Rollup(park.store, park.park)
    for hour in range(3 * 24 + 1):
        park.write("electricity", "main", [row for row in rows if hour * HOUR <= row[0] < (hour + 1) * HOUR])
        running.cycle(T0 + (hour + 1) * HOUR + 20_000)
        if hour % 7 == 0:
            running = Rollup(park.store, park.park)

    values = park.values(EXPORT, meter="main")
    assert [values[slot] for slot in range(3 * 96)] == [15] * 3 * 96


def test_a_second_counter_that_appears_later_has_no_fields_before(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT, EXPORT)
    rising(park, range(2 * 60 + 1))
    park.write("electricity", "main", [(m * MINUTE, {EXPORT: 5.0 + m}) for m in range(50, 121)])

    park.once(2 * HOUR)

    points = park.points("meter_15m", meter="main")
    assert [f"{EXPORT}_quality" in points[slot] for slot in range(8)] == [False] * 4 + [True] * 4
    assert park.values(EXPORT, meter="main") == {**dict.fromkeys(range(4)), **dict.fromkeys(range(4, 8), 15)}


def test_notices_written_while_the_rollup_was_down_are_found(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, range(3 * 60 + 1))
    park.once(3 * HOUR)
    late_row(park, 2 * 60, value=15_990.0, at_ms=4 * HOUR)
    rising(park, range(3 * 60 + 1, 6 * 60 + 1))
    assert park.values(IMPORT, meter="main")[8] == 750

    park.once(6 * HOUR)

    fresh = anew(park, 6 * HOUR)
    assert park.values(IMPORT, meter="main") == fresh.values(IMPORT, meter="main")
    assert park.values(IMPORT, meter="main")[8] == 760


def test_a_clock_that_was_ahead_does_not_hide_notices(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, range(3 * 60 + 1))
    park.once(3 * HOUR)
    park.once(20 * HOUR)
    late_row(park, 2 * 60, value=15_990.0, at_ms=4 * HOUR)

    park.once(4 * HOUR)

    assert park.values(IMPORT, meter="main")[8] == 760


def test_a_late_row_in_the_middle_of_a_gap_of_hours_divides_it(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, range(31), per_minute=10)
    rising(park, range(10 * 60 + 30, 11 * 60 + 1), per_minute=10)
    running = Rollup(park.store, park.park)
    running.cycle(T0 + 11 * HOUR + 20_000)
    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(44), 150)

    # Two thirds of the energy of ten hours in the first half of them.
    late_row(park, 5 * 60 + 30, value=10_300.0 + 4000, at_ms=11 * HOUR + 20_000)
    running.cycle(T0 + 11 * HOUR + 30_000, is_patient=False)

    values, history = park.values(IMPORT, meter="main"), park.points("meter_15m_history", meter="main")
    assert [values[slot] for slot in range(2, 22)] == [200] * 20
    assert [values[slot] for slot in range(22, 42)] == [100] * 20
    assert [values[slot] for slot in (0, 1, 42, 43)] == [150] * 4
    assert history.keys() == set(range(2, 42))
    assert park.values(USE, "group_15m", group="north") == values


def test_a_park_that_is_edited_before_any_slot_exists(park: SmallPark) -> None:
    running = Rollup(park.store, park.park)
    running.cycle(T0 - HOUR)
    running.change_park(park.edit(press="north"))
    running.cycle(T0 - HOUR + 10_000)
    rising(park, range(61), per_minute=100)
    rising(park, range(61), meter="press")

    running.cycle(T0 + HOUR + 20_000)
    assert park.values(USE, "group_15m", group="north") == dict.fromkeys(range(4), 1500)
    assert park.points("group_15m", group="south") == {}

    # And a new process sees no edit.
    assert park.once(HOUR + 30_000).groups.written == 0


def test_versions_go_on_after_a_restart(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, range(5 * 60 + 1), per_minute=10)
    park.once(5 * HOUR)
    for version, value in enumerate((10_405.0, 10_409.0, 10_404.0), 1):
        late_row(park, 41, value=value, at_ms=5 * HOUR + 30_000 * version)
        late_row(park, 40, value=value - 1, at_ms=5 * HOUR + 30_000 * version + 1)
        late_row(park, 45, value=value + 41, at_ms=5 * HOUR + 30_000 * version + 2)
        park.once(5 * HOUR + 40_000 * version)

    found = park.store.query(
        rollup_database(park.name),
        'SELECT "energy_import_wh", "revised_at" FROM "meter_15m_history" WHERE "meter" = \'main\' GROUP BY "version"',
    )
    rows = {
        one.tags["version"]: [
            (row[2] - T0 - 5 * HOUR, row[1]) for row in one.rows if row[0] == T0 + 2 * 15 * MINUTE
        ]
        for one in found
    }
    assert rows == {"1": [(40_000, 150)], "2": [(80_000, 146)], "3": [(120_000, 150)]}


def test_what_was_never_settled_leaves_no_history(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, range(60), per_minute=10)
    park.write("electricity", "main", [(HOUR, {IMPORT: 99_000.0})])
    running = Rollup(park.store, park.park)
    running.cycle(T0 + HOUR + 20_000)
    assert (park.values(IMPORT, meter="main")[3] or 0) > 80_000

    rising(park, range(61, 76), per_minute=10)
    running.cycle(T0 + HOUR + 15 * MINUTE + 20_000)

    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(5), 150)
    assert park.points("meter_15m_history", meter="main") == {}
    assert park.points("group_15m_history", level="park") == {}
