"""Who is next, and when: pure, so time is a number."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.polling.schedule import Schedule, aligned_after

WALL = 1_800_000_000.0


@pytest.mark.parametrize(
    ("now_s", "wall_s", "period_s", "instant_s"),
    [
        (100.0, 1234.0, 10.0, 106.0),
        (100.0, 1230.0, 10.0, 110.0),
        (100.0, 1239.5, 10.0, 100.5),
        (7.25, 900.0, 900.0, 907.25),
        (7.25, 0.75, 0.5, 7.5),
    ],
)
def test_instants_are_whole_multiples_on_the_wall_clock(
    now_s: float, wall_s: float, period_s: float, instant_s: float
) -> None:
    assert aligned_after(now_s, wall_s=wall_s, period_s=period_s) == instant_s


def test_the_first_turns_are_due_at_once_and_in_the_files_order() -> None:
    schedule = Schedule([10.0, 10.0, 10.0], now_s=5.0)
    order = []
    for _ in range(3):
        turn = schedule.next(now_s=5.0)
        assert turn.at_s == 5.0
        order.append(turn.device)
        schedule.done(turn.device, now_s=5.0, wall_s=WALL + 5)
    assert order == [0, 1, 2]
    assert schedule.next(now_s=5.0).at_s == 10.0


def test_a_missed_instant_is_skipped_and_counted_not_made_up_for() -> None:
    schedule = Schedule([10.0], now_s=0.0)
    assert schedule.done(0, now_s=0.0, wall_s=WALL) == 0
    assert schedule.done(0, now_s=10.2, wall_s=WALL + 10.2) == 0
    assert schedule.done(0, now_s=47.0, wall_s=WALL + 47.0) == 2
    assert schedule.next(now_s=47.0).at_s == pytest.approx(50.0)


def test_a_held_device_waits_and_the_others_go_on() -> None:
    schedule = Schedule([10.0, 10.0], now_s=0.0)
    schedule.hold(0, until_s=33.0)
    turn = schedule.next(now_s=0.0)
    assert (turn.device, turn.at_s) == (1, 0.0)
    schedule.done(1, now_s=0.1, wall_s=WALL + 0.1)
    assert schedule.next(now_s=20.0).device == 1
    assert schedule.next(now_s=34.0).device == 0, "served longest ago"


def test_after_probes_of_its_own_a_device_is_back_in_step() -> None:
    schedule = Schedule([10.0], now_s=0.0)
    schedule.retry(0, now_s=0.5, at_s=13.7)
    assert schedule.next(now_s=1.0).at_s == 13.7
    assert schedule.done(0, now_s=13.8, wall_s=WALL + 13.8) == 0
    assert schedule.next(now_s=13.8).at_s == pytest.approx(20.0)


@given(st.floats(-1e6, 1e6), st.sampled_from([1.0, 10.0, 60.0, 900.0]))
def test_however_the_clock_is_set_no_poll_is_doubled_or_left_out(step_s: float, period_s: float) -> None:
    schedule = Schedule([period_s], now_s=0.0)
    now_s, wall_s = 0.0, WALL
    schedule.done(0, now_s=now_s, wall_s=wall_s)
    instants = []
    for poll in range(30):
        at_s = schedule.next(now_s=now_s).at_s
        wall_s += at_s - now_s
        now_s = at_s
        if poll == 3:
            wall_s += step_s
        instants.append(now_s)
        assert schedule.done(0, now_s=now_s, wall_s=wall_s) == 0
    gaps = [b - a for a, b in pairwise(instants)]
    assert all(0.9 * period_s - 1e-3 <= gap <= 1.1 * period_s + 1e-3 for gap in gaps)
    off_s = wall_s % period_s
    assert min(off_s, period_s - off_s) < 0.01 * period_s, "in step again after a few polls"


@given(st.lists(st.sampled_from([1.0, 2.0, 5.0, 10.0]), min_size=2, max_size=12), st.floats(0.3, 3.0))
def test_on_a_bus_that_is_too_slow_nobody_starves(periods_s: list[float], poll_takes_s: float) -> None:
    schedule = Schedule(periods_s, now_s=0.0)
    now_s, turns = 0.0, Counter[int]()
    for _ in range(60 * len(periods_s)):
        turn = schedule.next(now_s=now_s)
        now_s = max(now_s, turn.at_s) + poll_takes_s
        turns[turn.device] += 1
        schedule.done(turn.device, now_s=now_s, wall_s=WALL + now_s)
    fair = now_s / poll_takes_s / len(periods_s)
    for device, period_s in enumerate(periods_s):
        assert turns[device] >= 0.5 * min(fair, now_s / period_s) - 2
