"""The series of a counter whose device was exchanged. Pure.

At a joint another device took over: what the two showed is never subtracted. The total continues from the
last read of the old device with what the new one counts from its first read. What was used between these two
reads is not known: a slot that they enclose has no value, one that they touch is *estimated*.
"""

from collections.abc import Iterable, Sequence
from functools import reduce

from ingest.intervals.counters import CounterRules, CounterSeries, DoubtfulSpan, Read, unwrap
from metering.series import IntervalQuality


def unwrap_between(reads: Iterable[Read], rules: CounterRules, joints_ms: Sequence[int]) -> CounterSeries:
    """Return the series of a counter over joints; a read at a joint's own time is of the new device."""
    if not joints_ms:
        return unwrap(reads, rules)
    waiting = sorted(reads)
    parts = []
    for joint_ms in sorted(joints_ms):
        count = sum(time_ms < joint_ms for time_ms, _ in waiting)
        parts.append(unwrap(waiting[:count], rules))
        waiting = waiting[count:]
    parts.append(unwrap(waiting, rules))
    return reduce(_joined, (part for part in parts if part.times_ms), CounterSeries())


def _joined(old: CounterSeries, new: CounterSeries) -> CounterSeries:
    if not old.times_ms:
        return new
    shift = old.totals[-1] - new.totals[0]
    between = DoubtfulSpan(old.times_ms[-1], new.times_ms[0], IntervalQuality.ESTIMATED, is_gap=True)
    return CounterSeries(
        [*old.times_ms, *new.times_ms],
        [*old.totals, *(total + shift for total in new.totals)],
        (*old.doubtful_spans, between, *new.doubtful_spans),
        old.rejected + new.rejected,
        (*old.excesses, *new.excesses),
    )
