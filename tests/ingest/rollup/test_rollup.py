"""The rollup on a real InfluxDB: conserved, whatever is lost, late, reset or edited."""

import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from ingest.rollup.job import Rollup
from ingest.store.contract import Store
from ingest.store.errors import StoreDenied
from ingest.validation.registry import Registry
from metering.messages.birth import Birth, CounterFacts, MeterFacts
from metering.quantities import Medium
from metering.series import IntervalQuality, raw_database, rollup_database
from simulators.demo.servers import Influx
from tests.peers.small_park import HOUR, MINUTE, T0, SmallPark, small_park, small_park_in

pytestmark = pytest.mark.servers

IMPORT, EXPORT, VOLUME = "energy_import_wh", "energy_export_wh", "volume_l"
SLOT = 15 * MINUTE
MISSING = IntervalQuality.MISSING


@pytest.fixture
def park(tmp_path: Path, any_store: Store) -> SmallPark:
    return small_park_in(any_store, tmp_path)


def climbing(
    minutes: Iterable[int], *, per_minute: int, first: int = 10_000, name: str = IMPORT
) -> list[tuple[int, dict[str, float]]]:
    return [(minute * MINUTE, {name: float(first + minute * per_minute)}) for minute in minutes]


def main_alone(park: SmallPark, minutes: Iterable[int], *, per_minute: int = 10) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    park.write("electricity", "main", climbing(minutes, per_minute=per_minute))


def snapshot(park: SmallPark, *measurements: str) -> dict[str, object]:
    return {
        name: [
            (dict(one.tags), one.columns, one.rows)
            for one in park.store.query(rollup_database(park.name), f'SELECT * FROM "{name}" GROUP BY *')
        ]
        for name in measurements
    }


def test_slots_of_meters_groups_and_members(park: SmallPark) -> None:
    for meter, imported, exported in (("main", 100, 0), ("pv", 0, 40), ("press", 30, 0)):
        park.announce(meter, Medium.ELECTRICITY, IMPORT, EXPORT)
        rows = [(m * MINUTE, {IMPORT: float(imported * m), EXPORT: float(exported * m)}) for m in range(61)]
        park.write("electricity", meter, rows)
    park.write("water", "well", climbing(range(61), per_minute=7, name=VOLUME))

    park.once(HOUR)

    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(4), 1500)
    use = "electricity_use_wh"
    assert park.values(use, "group_15m", group="north") == dict.fromkeys(range(4), 1500 - 450 + 600)
    assert park.values(use, "group_15m", group="mill") == dict.fromkeys(range(4), 450)
    assert park.values(use, "group_15m", level="park") == dict.fromkeys(range(4), 2100)
    assert park.values("water_use_l", "group_15m", group="south") == dict.fromkeys(range(4), 105)
    assert park.values("id", "member", level="zone", meter="press") == dict.fromkeys(range(4), "press")
    assert park.points("member", level="gateway", group="gw-1").keys() == set(range(4))


def test_random_gaps_resets_and_garbage_conserve_the_sum(park: SmallPark) -> None:
    rng = random.Random(7)
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    value, true, rows = 1_000_000, 0, []
    for minute in range(24 * 60 + 1):
        rise = rng.randrange(200)
        true += rise
        value += rise
        if rng.random() < 0.003 and 60 < minute < 23 * 60:
            true, value = true - rise + 5, 5
        shown = value if rng.random() > 0.005 or minute in {0, 24 * 60} else rng.choice((0, 9_999_999))
        if minute in {0, 24 * 60} or rng.random() > 0.3:
            rows.append((minute * MINUTE, {IMPORT: float(shown)}))
    park.write("electricity", "main", rows)

    park.once(25 * HOUR)

    values = [value for slot, value in park.values(IMPORT, meter="main").items() if slot < 96]
    assert len(values) == 96
    assert all(value is not None and 0 <= value <= 4000 for value in values)
    # What a reset hides is at most what was counted since the read before it.
    assert true - 20 * 200 <= sum(value or 0 for value in values) <= true


def test_a_gap_waits_for_its_grace_and_is_closed_by_the_next_read(park: SmallPark) -> None:
    main_alone(park, range(21))

    assert park.once(30 * MINUTE).meters.written == 1
    assert park.once(30 * MINUTE + 2 * MINUTE + 59_000).meters.written == 0
    park.once(33 * MINUTE)
    assert park.points("meter_15m", meter="main")[1][f"{IMPORT}_quality"] == MISSING
    assert park.values(IMPORT, meter="main") == {0: 150, 1: None}
    assert park.values("electricity_use_wh", "group_15m", level="park") == {0: 150, 1: None}

    park.write("electricity", "main", climbing([100], per_minute=10))
    park.once(2 * HOUR + 3 * MINUTE)

    assert park.values(IMPORT, meter="main") == {**dict.fromkeys(range(6), 150), 6: None, 7: None}
    qualities = park.values(f"{IMPORT}_quality", meter="main")
    assert [qualities[slot] for slot in range(8)] == [0, 2, 2, 2, 2, 2, MISSING, MISSING]


def test_late_rows_are_found_across_a_restart_and_the_old_values_kept(park: SmallPark) -> None:
    main_alone(park, [*range(21), *range(100, 241)])
    park.once(4 * HOUR)
    before = park.values(IMPORT, meter="main")
    assert before[2] == 150

    park.write("electricity", "main", [(40 * MINUTE, {IMPORT: 10_000 + 790.0})])
    park.notice("main", from_ms=40 * MINUTE, to_ms=40 * MINUTE, at_ms=4 * HOUR + 5000)
    park.once(4 * HOUR + 10_000)

    after = park.values(IMPORT, meter="main")
    assert sum(value or 0 for value in after.values()) == sum(value or 0 for value in before.values())
    assert after[1] != before[1]
    assert after[12] == before[12]
    history = park.points("meter_15m_history", meter="main")
    assert history[2][IMPORT] == 150
    assert (history[2]["reason"], history[2]["version"]) == ("late", "1")
    assert history[2]["revised_at"] == T0 + 4 * HOUR + 10_000
    assert park.values("electricity_use_wh", "group_15m", level="park") == after
    assert park.points("group_15m_history", level="park")[2]["electricity_use_wh"] == 150


def test_late_rows_noticed_while_the_clock_is_set_back_are_found(park: SmallPark) -> None:
    main_alone(park, [*range(21), *range(100, 241)])
    running = Rollup(park.store, park.park)
    running.cycle(T0 + 4 * HOUR)
    before = park.values(IMPORT, meter="main")
    running.cycle(T0 + 2 * HOUR)
    park.write("electricity", "main", [(40 * MINUTE, {IMPORT: 10_000 + 790.0})])
    park.notice("main", from_ms=40 * MINUTE, to_ms=40 * MINUTE, at_ms=2 * HOUR + 5000)
    # The clock is set right again before the notice is read.
    for after_ms in (10_000, 20_000):
        running.cycle(T0 + 4 * HOUR + after_ms)
    after = park.values(IMPORT, meter="main")
    assert after[1] != before[1]
    assert park.points("meter_15m_history", meter="main")[2]["reason"] == "late"


def test_the_second_revision_is_the_second_version(park: SmallPark) -> None:
    main_alone(park, [*range(21), *range(100, 241)])
    park.once(4 * HOUR)
    for version, value in enumerate((790.0, 780.0), 1):
        park.write("electricity", "main", [((39 + version) * MINUTE, {IMPORT: 10_000 + value})])
        park.notice("main", from_ms=39 * MINUTE, to_ms=42 * MINUTE, at_ms=4 * HOUR + version)
        park.once(4 * HOUR + 10_000 * version)

    versions = {
        row[1]
        for one in park.store.query(
            rollup_database(park.name), 'SELECT "version", "reason" FROM "meter_15m_history"'
        )
        for row in one.rows
    }
    assert versions == {"1", "2"}


def with_gaps_and_a_reset(rng: random.Random) -> dict[int, float]:
    """Six hours of reads with gaps, a dip after 90 min and a reset after 200."""
    rows: dict[int, float] = {}
    value = 500_000
    for minute in range(6 * 60 + 1):
        value = 3 if minute == 200 else value + rng.randrange(50)
        if rng.random() > 0.4:
            rows[minute * MINUTE] = float(0 if minute == 90 else value)
    return rows


def test_any_order_of_arrival_ends_in_the_same_points(tmp_path: Path, any_store: Store) -> None:
    rng = random.Random(3)
    rows = with_gaps_and_a_reset(rng)
    parts: list[list[int]] = [[], [], []]
    for time_ms in rows:
        parts[rng.randrange(3)].append(time_ms)
    straight, mixed = small_park_in(any_store, tmp_path), small_park_in(any_store, tmp_path)
    for one in (straight, mixed):
        one.announce("main", Medium.ELECTRICITY, IMPORT)

    straight.write("electricity", "main", [(t, {IMPORT: rows[t]}) for t in sorted(rows)])
    straight.once(7 * HOUR)
    for number, part in enumerate(parts):
        mixed.write("electricity", "main", [(t, {IMPORT: rows[t]}) for t in part])
        if part:
            mixed.notice("main", from_ms=min(part), to_ms=max(part), at_ms=7 * HOUR + number)
        mixed.once(7 * HOUR + number * 10_000)

    assert mixed.points("meter_15m", meter="main").keys() == straight.points("meter_15m", meter="main").keys()
    for name in (IMPORT, f"{IMPORT}_quality", f"{IMPORT}_coverage"):
        assert mixed.values(name, meter="main") == straight.values(name, meter="main")


def test_a_running_rollup_and_one_that_starts_at_the_end_agree(tmp_path: Path, any_store: Store) -> None:
    rng = random.Random(5)
    value, rows = 900_000, []
    for minute in range(5 * 60 + 1):
        value += rng.randrange(90)
        shown = 7 if minute in {100, 101, 194} else value - (1 if minute == 150 else 0)
        if not 120 < minute < 140:
            rows.append((minute * MINUTE + rng.randrange(MINUTE // 2), {IMPORT: float(shown)}))
    live, at_once = small_park_in(any_store, tmp_path), small_park_in(any_store, tmp_path)
    for one in (live, at_once):
        one.announce("main", Medium.ELECTRICITY, IMPORT)

    running = Rollup(live.store, live.park)
    for before, after in zip([0, *range(0, 5 * HOUR, MINUTE)], range(0, 5 * HOUR + 1, MINUTE), strict=True):
        live.write("electricity", "main", [row for row in rows if before <= row[0] < after])
        running.cycle(T0 + after + 20_000)
    at_once.write("electricity", "main", [row for row in rows if row[0] < 5 * HOUR])
    at_once.once(5 * HOUR)

    for name in (IMPORT, f"{IMPORT}_quality"):
        assert live.values(name, meter="main") == at_once.values(name, meter="main")
        assert live.values(f"electricity_use_wh{name.removeprefix(IMPORT)}", "group_15m", level="park") == (
            at_once.values(f"electricity_use_wh{name.removeprefix(IMPORT)}", "group_15m", level="park")
        )


def test_rows_that_come_out_of_order_but_in_time_leave_no_notice_and_are_found(park: SmallPark) -> None:
    main_alone(park, [*range(29), *range(45, 47)])
    running = Rollup(park.store, park.park)
    running.cycle(T0 + 45 * MINUTE + 20_000)
    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(3), 150)

    # The backlog of the third slot, up to 15 min old, within a minute after its end: not late.
    park.write("electricity", "main", [(30 * MINUTE + 1000, {IMPORT: 10_400.0})])
    park.write("electricity", "main", climbing(range(47, 61), per_minute=10))
    running.cycle(T0 + HOUR + 20_000)

    values = park.values(IMPORT, meter="main")
    assert sum(value or 0 for value in values.values()) == 600
    assert (values[0], values[1]) == (150, 249)


def test_doing_it_again_changes_nothing(park: SmallPark) -> None:
    main_alone(park, range(181))
    park.notice("main", from_ms=0, to_ms=HOUR, at_ms=3 * HOUR)
    park.once(3 * HOUR)
    names = ("meter_15m", "group_15m", "member", "park_edition", "meter_15m_history")
    before = snapshot(park, *names)

    assert not park.once(3 * HOUR + 10_000).did_something
    assert snapshot(park, *names) == before


def test_a_park_edit_with_a_past_date_moves_the_past(park: SmallPark) -> None:
    for meter in ("main", "press"):
        park.announce(meter, Medium.ELECTRICITY, IMPORT)
        park.write("electricity", meter, climbing(range(121), per_minute=10))
    running = Rollup(park.store, park.park)
    running.cycle(T0 + 2 * HOUR + 20_000)
    assert park.values("electricity_use_wh", "group_15m", group="south")[5] == 150

    moved = "[{zone: south, valid_to: '2026-03-01T02:00'}, {zone: north, valid_from: '2026-03-01T02:00'}]"
    running.change_park(park.edit(press=moved))
    running.cycle(T0 + 2 * HOUR + 30_000)

    assert park.values("electricity_use_wh", "group_15m", group="south") == dict.fromkeys(range(4), 150)
    assert park.values("electricity_use_wh", "group_15m", group="north") == {
        **dict.fromkeys(range(4), 0),
        **dict.fromkeys(range(4, 8), 150),
    }
    assert park.points("member", level="zone", group="south", meter="press").keys() == set(range(4))
    assert park.points("group_15m_history", group="south")[5]["reason"] == "park edited"


def test_a_park_edited_while_the_rollup_was_down_is_noticed(park: SmallPark) -> None:
    for meter in ("main", "press"):
        park.announce(meter, Medium.ELECTRICITY, IMPORT)
        park.write("electricity", meter, climbing(range(121), per_minute=10))
    park.once(2 * HOUR)

    park.edit(press="north")
    park.once(2 * HOUR + 10_000)

    assert park.points("group_15m", group="south") == {}
    assert park.points("member", group="south", meter="press") == {}
    assert park.once(2 * HOUR + 20_000).groups.written == 0


def test_of_two_gateways_that_announce_a_meter_the_first_counts(park: SmallPark) -> None:
    facts = MeterFacts("m", "p", Medium.ELECTRICITY, 60, counters={IMPORT: CounterFacts(1, None)})
    registry = Registry(park.park)
    for gateway in ("gw-1", "gw-2"):
        registry.announce(Birth(gateway, "0123456789abcdef", T0, "0.1", {"main": facts}))
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    for gateway, first in (("gw-1", 10_000), ("gw-2", 90_000)):
        rows = climbing(range(61), per_minute=10, first=first)
        shift = 0 if gateway == "gw-1" else 1000
        accepted = [
            (t + shift, values)
            for t, values in rows
            if registry.maybe_refusal(gateway, "main", T0 + t + shift) is None
        ]
        if accepted:
            park.write("electricity", "main", accepted)

    park.once(HOUR)

    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(4), 150)
    assert park.points("member", level="gateway", group="gw-2") == {}


def test_a_meter_the_park_does_not_know_is_unassigned(park: SmallPark) -> None:
    park.announce("stray", Medium.ELECTRICITY, IMPORT)
    park.write("electricity", "stray", climbing(range(61), per_minute=10))

    park.once(HOUR)

    assert park.values(IMPORT, meter="stray") == dict.fromkeys(range(4), 150)
    assert park.points("member", level="unassigned", group="gw-1").keys() == set(range(4))
    assert park.points("group_15m", level="park") == {}


def test_a_silent_meter_holds_nobody_else_back(park: SmallPark) -> None:
    main_alone(park, range(181))
    park.announce("press", Medium.ELECTRICITY, IMPORT)
    park.write("electricity", "press", climbing(range(40), per_minute=10))

    park.once(3 * HOUR)

    assert park.values(IMPORT, meter="press") == {slot: 150 if slot < 2 else None for slot in range(11)}
    use = park.values("electricity_use_wh", "group_15m", group="south")
    assert use == {slot: 150 if slot < 2 else None for slot in range(11)}
    # The park's use needs the main meter alone, and does not wait for the press.
    assert park.values("electricity_use_wh", "group_15m", level="park") == dict.fromkeys(range(12), 150)


def test_a_counter_that_disappears_leaves_no_value_behind(park: SmallPark) -> None:
    main_alone(park, range(61))
    park.once(HOUR)
    park.store.delete(
        raw_database(park.name),
        "electricity",
        tags={"meter": "main"},
        start_ms=T0 + 20 * MINUTE,
        stop_ms=T0 + 2 * HOUR,
    )
    park.notice("main", from_ms=0, to_ms=HOUR, at_ms=HOUR)

    park.once(2 * HOUR)

    points = park.points("meter_15m", meter="main")
    assert points[0][IMPORT] == 150
    assert all(IMPORT not in points[slot] for slot in range(1, 7))
    assert all(points[slot][f"{IMPORT}_quality"] == MISSING for slot in range(1, 7))


def test_missing_databases_are_said_and_survived(tmp_path: Path, shared_influx: Influx) -> None:
    nowhere = small_park(tmp_path, shared_influx)
    nowhere.store.query("", f'DROP DATABASE "{raw_database(nowhere.name)}"')
    rollup = Rollup(nowhere.store, nowhere.park)

    with pytest.raises(StoreDenied):
        rollup.cycle(T0 + HOUR + 20_000)
    nowhere.store.ensure(raw_database(nowhere.name))
    main_alone(nowhere, range(61))

    assert rollup.cycle(T0 + HOUR + 20_000).meters.written == 4
