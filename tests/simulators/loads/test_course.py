"""A course's counters are the integrals of its rate, and its parts add up."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.loads.course import KNOT_MS, Course, course
from simulators.loads.shapes import rng_for

ORIGIN_MS = 1_700_000_100_000 // KNOT_MS * KNOT_MS
RATES = st.lists(
    st.floats(-5e5, 5e5, allow_subnormal=False).map(lambda x: round(x, 3)), min_size=3, max_size=8
)


def build(knots: list[float], name: str = "m") -> Course:
    return course(ORIGIN_MS, np.array(knots), rng_for(name))


@settings(max_examples=60, deadline=None)
@given(RATES)
def test_the_counters_are_the_integral_of_the_rate(knots: list[float]) -> None:
    one = build(knots)
    step_ms = 500
    span_ms = (len(knots) - 1) * KNOT_MS
    flows = [one.at(ORIGIN_MS + at) for at in range(0, span_ms, step_ms)]
    for before, after in pairwise(flows):
        counted = (after.imported - after.exported) - (before.imported - before.exported)
        mean = (before.rate + after.rate) / 2
        # The trapezoid of a wave of 39 s over half a second is right to a thousandth of its height.
        assert counted == pytest.approx(
            mean * step_ms / 3_600_000, abs=1e-3 * max(map(abs, knots)) * step_ms / 3_600_000 + 1e-6
        )


@settings(max_examples=60, deadline=None)
@given(RATES)
def test_both_counters_only_rise(knots: list[float]) -> None:
    one = build(knots)
    span_ms = (len(knots) - 1) * KNOT_MS
    flows = [one.at(ORIGIN_MS + at) for at in range(0, span_ms, 7_919)]
    for before, after in pairwise(flows):
        assert after.imported >= before.imported - 1e-9
        assert after.exported >= before.exported - 1e-9


@settings(max_examples=60, deadline=None)
@given(RATES, st.data())
def test_a_sum_agrees_with_its_parts_at_every_quarter_hour(knots: list[float], data: st.DataObject) -> None:
    other = data.draw(st.lists(st.floats(-5e5, 5e5), min_size=len(knots), max_size=len(knots)))
    parts = build(knots, "a"), build(other, "b")
    whole = build([one + two for one, two in zip(knots, other, strict=True)], "c")
    for index in range(len(knots) - 1):
        at_ms = ORIGIN_MS + index * KNOT_MS
        nets = [flow.imported - flow.exported for flow in (part.at(at_ms) for part in parts)]
        found = whole.at(at_ms)
        assert found.imported - found.exported == pytest.approx(sum(nets), abs=1e-3)


def test_the_ripple_moves_the_rate_but_not_the_counter_at_the_knots() -> None:
    one = build([1000.0] * 4)
    rates = [one.at(ORIGIN_MS + at).rate for at in range(0, KNOT_MS, 10_000)]
    assert max(rates) - min(rates) > 1
    assert min(rates) > 0
    assert one.at(ORIGIN_MS + 2 * KNOT_MS).imported == pytest.approx(500.0)


def test_an_instant_outside_is_refused() -> None:
    one = build([1.0, 2.0, 3.0])
    for at_ms in (-1, 2 * KNOT_MS):
        with pytest.raises(ValueError, match="outside"):
            one.at(ORIGIN_MS + at_ms)


def test_an_origin_between_quarter_hours_is_refused() -> None:
    with pytest.raises(ValueError, match="quarter"):
        course(ORIGIN_MS + 1, np.array([1.0, 2.0]), rng_for("m"))
