"""Slots: conserved by construction, never zero and never a spike over a gap."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.intervals.counters import CounterRules, CounterSeries, DoubtfulSpan, unwrap
from ingest.intervals.slots import SlotValue, ceil_slot, floor_slot, slot_values, tolerance_ms
from metering.series import SLOT_MS, IntervalQuality

POLL_MS = 10_000
MINUTE_MS = 60_000
RULES = CounterRules()
MEASURED, INTERPOLATED, ESTIMATED, SUSPECT, MISSING = (
    IntervalQuality.MEASURED,
    IntervalQuality.INTERPOLATED,
    IntervalQuality.ESTIMATED,
    IntervalQuality.SUSPECT,
    IntervalQuality.MISSING,
)


def slots(reads: list[tuple[int, int]], *, count: int, poll_ms: int = POLL_MS) -> list[SlotValue]:
    return slot_values(
        unwrap(reads, RULES), start_ms=0, stop_ms=count * SLOT_MS, tolerance_ms=tolerance_ms(poll_ms)
    )


def every(step_ms: int, *, count: int, rise: int, offset_ms: int = 0) -> list[tuple[int, int]]:
    return [(i * step_ms + offset_ms, 10_000 + i * rise) for i in range(count)]


def test_reads_on_the_boundaries_measure_exactly() -> None:
    found = slots(every(5 * MINUTE_MS, count=7, rise=100), count=2)

    assert found == [SlotValue(300, MEASURED), SlotValue(300, MEASURED)]


def test_reads_near_the_boundaries_measure() -> None:
    found = slots(every(POLL_MS, count=200, rise=3, offset_ms=-4000), count=2)

    assert [one.quality for one in found] == [MEASURED, MEASURED]
    assert sum(one.value or 0 for one in found) == pytest.approx(2 * 90 * 3, abs=1)


def test_a_gap_is_spread_evenly_and_marked() -> None:
    before = every(MINUTE_MS, count=16, rise=10)
    after = [(t + 4 * SLOT_MS, v + 600) for t, v in every(MINUTE_MS, count=16, rise=10)]

    found = slots(before + after, count=5)

    # 15 x 10 by the end of the first slot; 450 over the 45 min without a read.
    assert [one.value for one in found] == [150, 150, 150, 150, 150]
    assert [one.quality for one in found] == [MEASURED, INTERPOLATED, INTERPOLATED, INTERPOLATED, MEASURED]


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([(16, 29)], [MEASURED, SUSPECT, MEASURED]),
        ([(15, 30)], [MEASURED, MISSING, MEASURED]),
        ([(10, 40)], [SUSPECT, MISSING, SUSPECT]),
        ([(10, 20), (20, 40)], [SUSPECT, MISSING, SUSPECT]),
        ([(10, 20), (21, 40)], [SUSPECT, SUSPECT, SUSPECT]),
    ],
)
def test_a_slot_within_a_gap_of_which_nothing_is_known_has_no_value(
    gaps: list[tuple[int, int]], expected: list[IntervalQuality]
) -> None:
    times_ms = [minute * MINUTE_MS for minute in range(46)]
    doubtful_spans = tuple(DoubtfulSpan(a * MINUTE_MS, b * MINUTE_MS, SUSPECT, is_gap=True) for a, b in gaps)
    series = CounterSeries(times_ms, list(range(46)), doubtful_spans)
    found = slot_values(series, start_ms=0, stop_ms=3 * SLOT_MS, tolerance_ms=0)

    assert [one.quality for one in found] == expected
    assert [one.value for one in found] == [None if one is MISSING else 15 for one in expected]


def test_what_no_read_bounds_is_missing() -> None:
    found = slots([(7 * MINUTE_MS, 5), (20 * MINUTE_MS, 9)], count=2)

    assert found == [SlotValue(None, MISSING), SlotValue(None, MISSING)]


def test_a_reset_makes_its_slot_an_estimate() -> None:
    reads = [(0, 90_000), (14 * MINUTE_MS, 90_100), (16 * MINUTE_MS, 40), (30 * MINUTE_MS, 60)]

    found = slots(reads, count=2, poll_ms=90_000)

    assert [one.quality for one in found] == [ESTIMATED, ESTIMATED]
    assert sum(one.value or 0 for one in found) == 100 + 40 + 20


def test_a_negative_slot_is_suspect() -> None:
    reads = [(0, 100), (14 * MINUTE_MS, 99), (45 * MINUTE_MS, 99), (60 * MINUTE_MS, 99)]

    assert SlotValue(-1, SUSPECT) in slots(reads, count=4, poll_ms=15 * MINUTE_MS)


def test_a_poll_of_fifteen_minutes_near_the_boundary_is_measured() -> None:
    found = slots(every(SLOT_MS, count=4, rise=7, offset_ms=300), count=3, poll_ms=SLOT_MS)

    assert [one.quality for one in found] == [MISSING, MEASURED, MEASURED]


def test_a_value_and_its_quality_agree() -> None:
    with pytest.raises(ValueError, match="cannot be missing"):
        SlotValue(3, MISSING)
    with pytest.raises(ValueError, match="cannot be measured"):
        SlotValue(None, MEASURED)


def test_slots_begin_at_whole_quarters() -> None:
    assert (floor_slot(SLOT_MS - 1), floor_slot(SLOT_MS)) == (0, SLOT_MS)
    assert (ceil_slot(SLOT_MS), ceil_slot(SLOT_MS + 1)) == (SLOT_MS, 2 * SLOT_MS)
    with pytest.raises(ValueError, match="boundaries"):
        slot_values(unwrap([], RULES), start_ms=1, stop_ms=SLOT_MS, tolerance_ms=0)


gaps_and_rises = st.lists(
    st.tuples(st.integers(1, 3 * SLOT_MS), st.integers(0, 100_000)), min_size=1, max_size=40
)


@given(gaps_and_rises, st.sets(st.integers(0, 39)))
def test_the_sum_of_slots_is_the_difference_of_the_boundaries(
    steps: list[tuple[int, int]], resets: set[int]
) -> None:
    time_ms, value, true, reads = 0, 10**7, 0, [(0, 10**7)]
    totals = {0: 0}
    for i, (gap_ms, rise) in enumerate(steps):
        time_ms += gap_ms
        value = rise if i in resets and rise * 100 < value else value + rise
        true += rise
        reads.append((time_ms, value))
        totals[time_ms] = true
    stop_ms = ceil_slot(time_ms)
    reads.append((stop_ms, value)) if stop_ms > time_ms else None

    found = slot_values(
        unwrap(reads, CounterRules(return_ms=0)), start_ms=0, stop_ms=stop_ms, tolerance_ms=20_000
    )

    assert sum(one.value or 0 for one in found) == true
    assert all(one.value is not None and one.value >= 0 for one in found)


@given(gaps_and_rises)
def test_no_slot_is_higher_than_what_was_read_around_it(steps: list[tuple[int, int]]) -> None:
    reads = [(0, 0)]
    for gap_ms, rise in steps:
        reads.append((reads[-1][0] + gap_ms, reads[-1][1] + rise))
    stop_ms = floor_slot(reads[-1][0])

    found = slot_values(unwrap(reads, RULES), start_ms=0, stop_ms=stop_ms, tolerance_ms=20_000)

    for start_ms, one in zip(range(0, stop_ms, SLOT_MS), found, strict=True):
        touching = sum(
            after - before
            for (from_ms, before), (to_ms, after) in pairwise(reads)
            if from_ms < start_ms + SLOT_MS and to_ms > start_ms
        )
        assert 0 <= (one.value or 0) <= touching
