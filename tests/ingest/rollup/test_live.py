"""Live figures: by the formula of zone use, from fresh values alone."""

from pathlib import Path

import pytest

from ingest.rollup.live import Figure, LiveFigures, Newest, figure, fresh_ms
from ingest.rollup.series.facts import Counting, read_facts
from ingest.store.contract import Store
from metering.quantities import Medium
from metering.series import SLOT_MS
from tests.peers.small_park import T0, SmallPark, small_park_in

FACTS = {"a": Counting(poll_ms=10_000), "b": Counting(poll_ms=60_000)}


@pytest.mark.parametrize(("poll_ms", "expected"), [(1000, 30_000), (10_000, 30_000), (60_000, 120_000)])
def test_a_value_is_fresh_for_two_polls_but_at_least_half_a_minute(poll_ms: int, expected: int) -> None:
    assert fresh_ms(Counting(poll_ms=poll_ms)) == expected


ALL_ADDED = {"a": 1, "b": 1}
ONE_SUBTRACTED = {"a": 1, "b": -1}
SUBTRACTED_ALONE = {"b": -1}


@pytest.mark.parametrize(
    ("signs", "a_age_ms", "b_age_ms", "expected"),
    [
        (ONE_SUBTRACTED, 0, 0, Figure(300.0, None, 2, 2)),
        (ONE_SUBTRACTED, 30_000, 120_000, Figure(300.0, None, 2, 2)),
        # A partial sum is neither the figure nor below it: what is missing may be subtracted.
        (ONE_SUBTRACTED, 30_001, 0, Figure(None, None, 1, 2)),
        (ONE_SUBTRACTED, 0, 120_001, Figure(None, None, 1, 2)),
        (ALL_ADDED, 0, 0, Figure(700.0, None, 2, 2)),
        (ALL_ADDED, 0, 120_001, Figure(None, 500.0, 1, 2)),
        (ALL_ADDED, 30_001, 0, Figure(None, 200.0, 1, 2)),
        (ALL_ADDED, 30_001, 120_001, Figure(None, None, 0, 2)),
        (SUBTRACTED_ALONE, 0, 0, Figure(-200.0, None, 1, 1)),
        (SUBTRACTED_ALONE, 0, 120_001, Figure(None, None, 0, 1)),
    ],
)
def test_a_partial_sum_is_never_the_figure(
    signs: dict[str, int], a_age_ms: int, b_age_ms: int, expected: Figure
) -> None:
    newest = {"a": Newest(1_000_000 - a_age_ms, 500.0), "b": Newest(1_000_000 - b_age_ms, 200.0)}

    assert figure(signs, newest, FACTS, 1_000_000) == expected


def test_a_meter_that_was_never_read_is_expected_all_the_same() -> None:
    assert figure({"a": 1, "b": 1}, {"a": Newest(0, 5.0)}, FACTS, 0) == Figure(None, 5.0, 1, 2)


def test_each_point_says_how_many_meters_are_behind_it() -> None:
    assert Figure(7.0, None, 2, 2).fields("power") == {
        "power": 7.0,
        "power_coverage": 1.0,
        "power_fresh": 2,
        "power_expected": 2,
    }
    assert Figure(None, 5.0, 1, 4).fields("flow") == {
        "flow_at_least": 5.0,
        "flow_coverage": 0.25,
        "flow_fresh": 1,
        "flow_expected": 4,
    }
    assert "power_at_least" not in Figure(None, None, 0, 3).fields("power")


@pytest.fixture
def park(tmp_path: Path, any_store: Store) -> SmallPark:
    return small_park_in(any_store, tmp_path)


def live(park: SmallPark, **tags: str) -> dict[str, float]:
    """Return the fields of the only live point of a group."""
    (point,) = park.points("group_live", **tags).values()
    counts = ("_fresh", "_expected")
    return {
        name: value
        for name, value in point.items()
        if name.startswith(("power", "flow")) and not name.endswith(counts)
    }


@pytest.mark.servers
def test_live_figures_of_a_park(park: SmallPark) -> None:
    for meter in ("main", "pv", "press"):
        park.announce(meter, Medium.ELECTRICITY, poll_s=10)
    park.announce("well", Medium.WATER, poll_s=10)
    now_ms = 5 * SLOT_MS
    for meter, power in (("main", 3000.0), ("pv", -2000.0), ("press", 1200.0)):
        rows = [(now_ms - 15_000, {"active_power_w": 9e9}), (now_ms - 5000, {"active_power_w": power})]
        park.write("electricity", meter, rows)
    park.write("electricity", "main", [(now_ms + 1, {"active_power_w": 1.0})])
    park.write("water", "well", [(now_ms - 31_000, {"flow_m3h": 4.0})])

    groups = LiveFigures(park.store, park.park).write(read_facts(park.store, park.park), T0 + now_ms)

    assert groups == 4
    assert live(park, group="north") == {"power": 3000 - 1200 + 2000, "power_coverage": 1}
    assert live(park, group="mill") == {"power": 1200, "power_coverage": 1}
    assert live(park, group="south") == {"power": 1200, "power_coverage": 1, "flow_coverage": 0}
    assert live(park, level="park") == {"power": 5000, "power_coverage": 1, "flow_coverage": 0}


@pytest.mark.servers
def test_with_a_silent_main_meter_no_zone_jumps_and_the_park_does_not_fall(park: SmallPark) -> None:
    """North is main - press + pv; without main it would show 800 W less than nothing, as whole."""
    for meter in ("main", "pv", "press"):
        park.announce(meter, Medium.ELECTRICITY, poll_s=10)
    now_ms = 5 * SLOT_MS
    for meter, age_ms, power in (("main", 31_000, 3000.0), ("pv", 5000, -2000.0), ("press", 5000, 1200.0)):
        park.write("electricity", meter, [(now_ms - age_ms, {"active_power_w": power})])

    LiveFigures(park.store, park.park).write(read_facts(park.store, park.park), T0 + now_ms)

    assert live(park, group="north") == {"power_coverage": pytest.approx(2 / 3)}
    assert live(park, level="park") == {"power_coverage": 0.5, "flow_coverage": 0}
    assert live(park, group="mill") == {"power": 1200, "power_coverage": 1}
    (point,) = park.points("group_live", group="north").values()
    assert (point["power_fresh"], point["power_expected"]) == (2, 3)


@pytest.mark.servers
def test_relations_are_those_of_the_moment(park: SmallPark) -> None:
    for meter in ("main", "pv", "press"):
        park.announce(meter, Medium.ELECTRICITY, poll_s=10)
    moves = "[{zone: south, valid_to: '2026-03-01T02:00'}, {zone: north, valid_from: '2026-03-01T02:00'}]"
    figures = LiveFigures(park.store, park.edit(press=moves))
    facts = read_facts(park.store, park.park)
    for at_ms in (4 * SLOT_MS - 10_000, 4 * SLOT_MS):
        for meter, power in (("main", 1000.0), ("pv", 0.0), ("press", 700.0)):
            park.write("electricity", meter, [(at_ms, {"active_power_w": power})])
        figures.write(facts, T0 + at_ms)

    assert [
        point["power"] for point in park.points("group_live", group="south").values() if "power" in point
    ] == [700]
    north = list(park.points("group_live", group="north").values())
    assert [point.get("power") for point in north] == [300, 1000]
