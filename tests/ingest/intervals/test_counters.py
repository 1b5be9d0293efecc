"""Counters: what is a rise, a rollover, a reset, or none of them."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.intervals.counters import (
    HOLD_MS,
    LOOK_BACK_MS,
    CounterRules,
    CounterSeries,
    DoubtfulSpan,
    Excess,
    unwrap,
)
from ingest.intervals.rises import RiseCap, cap_of, rated_per_h
from metering.series import IntervalQuality

POLL_MS = 10_000
RULES = CounterRules()


def reads(*values: int, every_ms: int = POLL_MS) -> list[tuple[int, int]]:
    return [(i * every_ms, value) for i, value in enumerate(values)]


def rises(series: CounterSeries) -> list[int]:
    return [after - before for before, after in pairwise(series.totals)]


@pytest.mark.parametrize(
    ("name", "values", "rules", "expected", "rejected"),
    [
        ("nothing moves", (7, 7, 7), RULES, [0, 0], 0),
        ("it counts", (7, 9, 12), RULES, [2, 3], 0),
        ("jitter is held", (100, 99, 98, 99, 103), RULES, [0, 0, 0, 3], 0),
        ("jitter of a coarse step", (1000, 980, 1010), CounterRules(step=10), [0, 10], 0),
        ("a dip of one read", (5000, 0, 5003), RULES, [3], 1),
        ("a dip of several reads", (5000, 0, 0, 17, 5000, 5001), RULES, [0, 1], 3),
        ("a dip whose end jitters", (5000, 0, 4999, 5001), RULES, [0, 1], 1),
        ("a spike of one read", (5000, 999_999, 5003, 5004), RULES, [3, 1], 1),
        ("a spike of several reads", (5000, 999_999, 999_999, 5003), RULES, [3], 2),
        ("a spike that climbs", (5000, 3_000_000, 9_000_000, 5003), RULES, [3], 2),
        ("a spike near the modulus", (50, 65535, 53), CounterRules(modulus=65536), [3], 1),
        ("a spike after a reset", (5000, 5, 999_999, 9), RULES, [5, 4], 1),
        ("a rollover", (65_530, 65_534, 3, 8), CounterRules(modulus=65536), [4, 5, 5], 0),
        ("a reset", (5000, 5001, 4, 6), RULES, [1, 4, 2], 0),
        ("a reset to 0", (5000, 5001, 0, 2), RULES, [1, 0, 2], 0),
        ("far from the modulus it is a reset", (5000, 4, 6), CounterRules(modulus=65536), [4, 2], 0),
        ("an unexplained fall adds nothing", (5000, 3000, 3002), RULES, [0, 2], 0),
        ("two resets", (5000, 3, 800, 2, 5), RULES, [3, 797, 2, 3], 0),
    ],
)  # fmt: skip
def test_verdicts(
    name: str, values: tuple[int, ...], rules: CounterRules, expected: list[int], rejected: int
) -> None:
    series = unwrap(reads(*values), rules)

    assert (rises(series), series.rejected) == (expected, rejected), name


def test_a_dip_longer_than_the_return_time_is_a_reset() -> None:
    series = unwrap(reads(5000, 0, 5003, every_ms=RULES.return_ms), CounterRules())
    assert series.rejected == 1

    late = [(0, 5000), (POLL_MS, 0), (POLL_MS + RULES.return_ms + 1, 20)]
    assert rises(unwrap(late, RULES)) == [0, 20]


def test_resets_and_breaks_are_noted_with_their_time() -> None:
    series = unwrap(reads(5000, 5001, 4, 900, 1700, 1100, every_ms=HOLD_MS), RULES)

    assert series.doubtful_spans == (
        DoubtfulSpan(HOLD_MS, 2 * HOLD_MS, IntervalQuality.ESTIMATED),
        DoubtfulSpan(4 * HOLD_MS, 5 * HOLD_MS, IntervalQuality.SUSPECT),
    )


def test_a_counter_that_rises_by_and_by_before_its_reset_is_no_spike() -> None:
    series = unwrap(reads(*range(0, 1000, 50), 0, 7), RULES)

    assert series.totals[-1] == 950 + 7


@pytest.mark.parametrize("every", [3, 10, 60])
def test_spikes_soon_after_one_another_are_each_rejected(every: int) -> None:
    true = range(1_000_000, 1_001_000)
    shown = [value + 8_000_000 * (i % every == 1) for i, value in enumerate(true)]
    series = unwrap(reads(*shown), RULES)

    assert series.totals[-1] - series.totals[0] == 999
    assert series.rejected == sum(value > true[-1] for value in shown)
    assert series.doubtful_spans == ()


def test_rollovers_further_apart_than_the_return_time_all_count() -> None:
    series = unwrap(reads(60_000, 100, 60_100, 200, every_ms=HOLD_MS), CounterRules(modulus=65536))

    assert rises(series) == [5636, 60_000, 5636]


def test_a_hold_ends_and_the_sum_stays_true() -> None:
    series = unwrap([(0, 100), (POLL_MS, 99), (HOLD_MS + 1, 99), (HOLD_MS + POLL_MS, 105)], RULES)

    assert rises(series) == [0, -1, 6]


def test_the_highest_of_two_values_at_one_time_counts() -> None:
    assert unwrap([(0, 5), (1, 9), (1, 7)], RULES) == unwrap([(1, 7), (1, 9), (0, 5)], RULES)
    assert unwrap([(0, 5), (1, 7), (1, 9)], RULES).totals == [5, 9]


def test_no_reads_no_course() -> None:
    assert unwrap([], RULES) == CounterSeries([], [])


def test_rules_that_describe_no_counter_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="cannot describe"):
        CounterRules(step=0)


MINUTE_MS = 60_000
#: A transformer of 250/5, read in steps of 10 Wh.
CAPPED = CounterRules(step=10, modulus=100_000_000, cap=cap_of(rated_per_h(250), step=10, slack_ms=60_000))


def minutes(*values: int) -> list[tuple[int, int]]:
    return reads(*values, every_ms=MINUTE_MS)


@pytest.mark.parametrize(
    ("name", "values", "expected", "rejected"),
    [
        ("within the cap nothing changes", (0, 3000, 6000), [3000, 3000], 0),
        ("one corrupt read, below what would be a spike", (500_000, 520_000, 501_000), [1000], 1),
        ("corrupt reads, then back", (500_000, 50_000_000, 98_000_000, 501_000, 502_000), [1000, 1000], 2),
        ("another device that begins higher", (500_000, 501_000, 3_000_000, 3_001_000), [1000, 0, 1000], 0),
        ("a roll-over that no load explains", (99_999_000, 99_999_500, 8_000_000), [500, 0], 0),
        ("a roll-over", (99_999_000, 99_999_500, 500), [500, 1000], 0),
        ("a reset that no load explains", (90_000_000, 90_001_000, 700_000, 701_000), [1000, 0, 1000], 0),
        ("a reset", (90_000_000, 90_001_000, 700, 1700), [1000, 700, 1000], 0),
        ("a dip that ends far above", (500_000, 0, 900_000, 901_000), [0, 0, 1000], 0),
    ],
)  # fmt: skip
def test_no_verdict_counts_a_rise_above_the_cap(
    name: str, values: tuple[int, ...], expected: list[int], rejected: int
) -> None:
    series = unwrap(minutes(*values), CAPPED)

    assert (rises(series), series.rejected) == (expected, rejected), name


def test_a_large_rise_over_a_long_gap_is_a_catch_up() -> None:
    nine_hours = [(0, 1_000_000), (9 * 60 * MINUTE_MS, 1_000_000 + 9 * 200_000)]

    assert rises(unwrap(nine_hours, CAPPED)) == [1_800_000]
    assert unwrap(nine_hours, CAPPED).doubtful_spans == ()


def test_at_any_gap_two_steps_are_allowed() -> None:
    coarse = CounterRules(step=100_000, cap=cap_of(1000, step=100_000, slack_ms=0))

    assert rises(unwrap([(0, 0), (1, 100_000), (2, 200_000)], coarse)) == [100_000, 100_000]


def test_a_jump_that_would_be_allowed_some_minutes_later_is_none_the_less_a_jump() -> None:
    stays = [500_000 + 100 * i + 30_000 * (i >= 5) for i in range(40)]

    assert rises(unwrap(minutes(*stays), CAPPED))[3:7] == [100, 0, 100, 100]
    assert unwrap(minutes(*stays), CAPPED).rejected == 0


def test_a_jump_is_told_and_the_time_around_it_doubted() -> None:
    series = unwrap(minutes(500_000, 501_000, 3_000_000, 3_001_000), CAPPED)
    doubted_ms = 2 * MINUTE_MS + CAPPED.doubt_ms

    assert series.excesses == (Excess(MINUTE_MS, 2 * MINUTE_MS, 2_499_000, rated_per_h(250), is_over=False),)
    assert series.doubtful_spans == (
        DoubtfulSpan(MINUTE_MS, 2 * MINUTE_MS, IntervalQuality.SUSPECT, is_gap=True),
        DoubtfulSpan(2 * MINUTE_MS, doubted_ms, IntervalQuality.SUSPECT),
    )
    assert unwrap(minutes(500_000, 99_000_000, 500_100), CAPPED).excesses[0].is_over


@pytest.mark.parametrize(
    "corrupt", [lambda _i: 99_500_000, lambda i: 40_000_000 + (i * 37_000_003) % 50_000_000]
)
def test_after_half_an_hour_of_corrupt_reads_the_sum_is_true(corrupt: Callable[[int], int]) -> None:
    true = [500_000 + 1000 * i for i in range(120)]
    shown = [corrupt(i) if 40 <= i < 70 else value for i, value in enumerate(true)]
    series = unwrap(minutes(*shown), CAPPED)

    assert series.totals[-1] - series.totals[0] == 119_000
    doubted = [doubtful for doubtful in series.doubtful_spans if doubtful.quality is IntervalQuality.SUSPECT]
    assert min(doubtful.from_ms for doubtful in doubted) == 39 * MINUTE_MS
    assert max(doubtful.to_ms for doubtful in doubted) >= 70 * MINUTE_MS


def test_a_cap_is_exact_beyond_floating_point() -> None:
    per_h = 10**15 + 1
    assert RiseCap(per_h).allows(10**15 + 1, 3_600_000)
    assert not RiseCap(per_h).allows(10**15 + 2, 3_600_000)


@pytest.mark.parametrize("cap", [(0, 0), (-1, 0), (1, -1)])
def test_a_cap_that_limits_no_counter_cannot_be_made(cap: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot limit"):
        RiseCap(*cap)


some_reads = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 70_000)), max_size=40).map(
    lambda found: [(t * POLL_MS, v) for t, v in found]
)
some_rules = st.builds(CounterRules, step=st.integers(1, 20), modulus=st.sampled_from([None, 65_536]))


@given(some_reads, some_rules, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    found: list[tuple[int, int]], rules: CounterRules, rng: random.Random
) -> None:
    shuffled = list(found)
    rng.shuffle(shuffled)

    assert unwrap(shuffled, rules) == unwrap(found, rules)


@given(some_reads, some_rules)
def test_whatever_is_read_totals_are_whole_and_every_read_is_accounted_for(
    found: list[tuple[int, int]], rules: CounterRules
) -> None:
    series = unwrap(found, rules)

    assert len(series.times_ms) == len(series.totals) == len(dict(found)) - series.rejected
    assert all(type(total) is int for total in series.totals)
    assert list(series.times_ms) == sorted(set(series.times_ms))
    assert all(rise >= -2 * rules.step for rise in rises(series))


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=60),
    st.integers(0, 65_535),
)
def test_over_rollovers_the_sum_is_exact(steps: list[int], first: int) -> None:
    true = [first]
    for step in steps:
        true.append(true[-1] + step)

    series = unwrap(reads(*(value % 65_536 for value in true)), CounterRules(modulus=65_536))

    assert rises(series) == steps


@given(st.data())
def test_a_window_gives_the_same_rises_as_all_of_history(data: st.DataObject) -> None:
    minute_ms = 60_000
    value, found = 50_000, []
    for minute in range(400):
        value += data.draw(st.integers(0, 3), label="rise")
        shown = value
        match data.draw(st.integers(0, 60), label="dice"):
            case 0:
                value = shown = 0
            case 1:
                shown = max(0, value - 1)
            case 2:
                shown = 0
            case 3:
                shown = value + 1_000_000
        found.append((minute * minute_ms, shown))
    from_ms = 300 * minute_ms

    window = unwrap([read for read in found if read[0] >= from_ms - 2 * LOOK_BACK_MS], RULES)
    whole = unwrap(found, RULES)

    def after(series: CounterSeries) -> list[tuple[int, int]]:
        base = next(
            (total for t, total in zip(series.times_ms, series.totals, strict=True) if t >= from_ms), 0
        )
        pairs = zip(series.times_ms, series.totals, strict=True)
        return [(t, total - base) for t, total in pairs if t >= from_ms]

    assert after(window) == after(whole)


def with_faults(rng: random.Random) -> list[tuple[int, int]]:
    """Eight hours by the minute, with resets, dips, exchanged devices and corrupt reads for a while."""
    value, corrupt, found = 50_000, 0, []
    for minute in range(480):
        value += rng.randrange(4)
        fault = rng.randrange(80)
        value = {0: 0, 1: value + 100_000, 2: 40_000}.get(fault, value)
        corrupt = rng.randrange(1, 40) if fault == 3 else max(0, corrupt - 1)
        shown = value + rng.choice((900_000, 900_000, 2_000_000)) if corrupt else value
        found.append((minute * MINUTE_MS, 0 if fault == 4 else shown))
    return found


@given(st.randoms(use_true_random=False))
def test_with_a_cap_too_a_window_gives_the_same_as_all_of_history(rng: random.Random) -> None:
    rules = CounterRules(cap=RiseCap(600, 20))
    found = with_faults(rng)
    from_ms = 300 * MINUTE_MS

    window = unwrap([read for read in found if read[0] >= from_ms - 2 * LOOK_BACK_MS], rules)
    whole = unwrap(found, rules)

    def after(series: CounterSeries) -> object:
        first = next(i for i, time_ms in enumerate(series.times_ms) if time_ms >= from_ms)
        base = series.totals[first]
        totals = zip(series.times_ms[first:], (total - base for total in series.totals[first:]), strict=True)
        doubtful_spans = [doubtful for doubtful in series.doubtful_spans if doubtful.to_ms > from_ms]
        excesses = [one for one in series.excesses if one.to_ms > from_ms]
        return list(totals), doubtful_spans, excesses

    assert after(window) == after(whole)


@given(st.randoms(use_true_random=False))
def test_with_a_cap_every_counted_rise_is_within_it(rng: random.Random) -> None:
    rules = CounterRules(cap=RiseCap(600, 20))
    series = unwrap(with_faults(rng), rules)
    doubted = [doubtful for doubtful in series.doubtful_spans if doubtful.quality is IntervalQuality.SUSPECT]

    for (from_ms, to_ms), rise in zip(pairwise(series.times_ms), rises(series), strict=True):
        is_doubted = any(doubtful.from_ms <= from_ms and to_ms <= doubtful.to_ms for doubtful in doubted)
        assert rules.allows(rise, to_ms - from_ms) or is_doubted
