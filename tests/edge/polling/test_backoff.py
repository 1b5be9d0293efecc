"""Pauses and the share of probes: pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.polling.backoff import (
    MAX_PROBE_S,
    PROBE_SHARE,
    ProbeBudget,
    growing_s,
    probe_pause_s,
    reconnect_pause_s,
)


def test_pauses_double_up_to_a_cap() -> None:
    pauses = [probe_pause_s(failures, poll_s=10.0, jitter=0.0) for failures in range(1, 8)]
    assert pauses == [10, 20, 40, 80, 160, 300, 300]
    assert [reconnect_pause_s(failures, jitter=0.0) for failures in (1, 2, 3, 20)] == [0.5, 1, 2, 15]


def test_a_meter_polled_rarely_is_not_probed_more_often_than_polled() -> None:
    assert probe_pause_s(1, poll_s=900.0, jitter=0.0) == 900.0
    assert probe_pause_s(9, poll_s=900.0, jitter=0.0) == 900.0
    assert MAX_PROBE_S < 900.0


@given(st.integers(1, 10**9), st.floats(0, 0.999))
def test_jitter_lengthens_by_a_quarter_at_most_and_nothing_overflows(failures: int, jitter: float) -> None:
    plain = growing_s(failures, first_s=0.5, max_s=30.0, jitter=0.0)
    assert plain <= growing_s(failures, first_s=0.5, max_s=30.0, jitter=jitter) <= 1.25 * plain


@given(st.lists(st.tuples(st.floats(0.01, 3.0), st.floats(0.0, 20.0)), min_size=1, max_size=50))
def test_probes_keep_to_their_share_whatever_they_cost(probes: list[tuple[float, float]]) -> None:
    """Each probe starts when the budget allows, or somewhat later."""
    budget = ProbeBudget()
    now_s = spent_s = 0.0
    for cost_s, later_s in probes:
        now_s = max(now_s, budget.ready_at_s) + later_s
        budget.spend(started_s=now_s, ended_s=now_s + cost_s)
        spent_s += cost_s
        now_s += cost_s
    assert spent_s <= PROBE_SHARE * budget.ready_at_s * (1 + 1e-9)


def test_the_first_probe_may_start_at_once() -> None:
    assert ProbeBudget().ready_at_s == pytest.approx(float("-inf"))
