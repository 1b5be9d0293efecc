"""From what a counter counted to slots of 15 minutes. Pure.

Invariants:
- The total at a boundary is an integer between the totals of the reads either side, on the straight line
  between them, rounded down. A slot is the difference of its two boundaries. So the sum of slots is the last
  boundary minus the first, exactly, whatever lies between.
- A gap between two reads is spread evenly: never zero, never a spike. Where no read bounds a slot, it has no
  value.

Quality: *measured* when a read lies within the tolerance of both boundaries, else *interpolated*; *estimated*
or *suspect* where a doubtful span reaches into the slot, or the value is negative; *missing*: no value,
as in a slot within a gap of which nothing is known.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.intervals.counters import CounterSeries, DoubtfulSpan
from metering.series import SLOT_MS, IntervalQuality

#: Qualities that count as good in a coverage, and may be a peak.
_GOOD = (IntervalQuality.MEASURED, IntervalQuality.MANUAL)
_MAX_TOLERANCE_MS = 3 * 60 * 1000


@dataclass(frozen=True, slots=True)
class SlotValue:
    """What was counted in a slot.

    Attributes:
        value: In the counter's unit; `None` if and only if the quality is *missing*.
    """

    value: int | None
    quality: IntervalQuality

    def __post_init__(self) -> None:
        if (self.value is None) is not (self.quality is IntervalQuality.MISSING):
            raise ValueError(f"{self.value} cannot be {self.quality.name.lower()}")

    @property
    def is_good(self) -> bool:
        """Whether the value counts as good in a coverage."""
        return self.quality in _GOOD


MISSING = SlotValue(None, IntervalQuality.MISSING)


def floor_slot(time_ms: int) -> int:
    """Return the start of the slot of an instant."""
    return time_ms // SLOT_MS * SLOT_MS


def ceil_slot(time_ms: int) -> int:
    """Return the first boundary at or after an instant."""
    return -(-time_ms // SLOT_MS) * SLOT_MS


def tolerance_ms(poll_ms: int) -> int:
    """Return how near a read must be to a boundary for *measured*."""
    return min(2 * poll_ms, _MAX_TOLERANCE_MS)


def slot_values(series: CounterSeries, *, start_ms: int, stop_ms: int, tolerance_ms: int) -> list[SlotValue]:
    """Return the slots from one boundary to another, in the order of time.

    Raises:
        ValueError: when the ends are not boundaries.
    """
    if start_ms % SLOT_MS or stop_ms % SLOT_MS:
        raise ValueError(f"{start_ms} and {stop_ms} ms are not both boundaries of slots")
    doubtful_slots = _doubtful_slots(series.doubtful_spans, start_ms, stop_ms)
    boundaries = [_Boundary.of(series, at_ms) for at_ms in range(start_ms, stop_ms + 1, SLOT_MS)]
    return [
        _slot(begin, end, tolerance_ms, doubtful_slots.get(start_ms + i * SLOT_MS))
        for i, (begin, end) in enumerate(pairwise(boundaries))
    ]


@dataclass(frozen=True, slots=True)
class _Boundary:
    """The total at a boundary, and how far the nearest read is; `None` where no reads enclose it."""

    maybe_total: int | None
    distance_ms: int = 0

    @staticmethod
    def of(series: CounterSeries, at_ms: int) -> "_Boundary":
        times, totals = series.times_ms, series.totals
        after = bisect_left(times, at_ms)
        if after == len(times):
            return _OUTSIDE
        if times[after] == at_ms:
            return _Boundary(totals[after])
        if after == 0:
            return _OUTSIDE
        begin_ms, end_ms = times[after - 1], times[after]
        rise = totals[after] - totals[after - 1]
        total = totals[after - 1] + rise * (at_ms - begin_ms) // (end_ms - begin_ms)
        return _Boundary(total, min(at_ms - begin_ms, end_ms - at_ms))


_OUTSIDE = _Boundary(None)


def _slot(
    begin: _Boundary, end: _Boundary, tolerance_ms: int, maybe_quality: IntervalQuality | None
) -> SlotValue:
    if begin.maybe_total is None or end.maybe_total is None or maybe_quality is IntervalQuality.MISSING:
        return MISSING
    value = end.maybe_total - begin.maybe_total
    if value < 0:
        return SlotValue(value, IntervalQuality.SUSPECT)
    if maybe_quality is not None:
        return SlotValue(value, maybe_quality)
    if max(begin.distance_ms, end.distance_ms) <= tolerance_ms:
        return SlotValue(value, IntervalQuality.MEASURED)
    return SlotValue(value, IntervalQuality.INTERPOLATED)


def _doubtful_slots(
    doubtful_spans: Sequence[DoubtfulSpan], start_ms: int, stop_ms: int
) -> Mapping[int, IntervalQuality]:
    """Return the worst quality per slot start; a slot of which nothing is known is *missing*."""
    worst: dict[int, IntervalQuality] = {}
    for doubtful in doubtful_spans:
        for slot_ms in _slots(floor_slot(doubtful.from_ms), ceil_slot(doubtful.to_ms), start_ms, stop_ms):
            worst[slot_ms] = max(doubtful.quality, worst.get(slot_ms, doubtful.quality))
    for from_ms, to_ms in _gaps(doubtful_spans):
        for slot_ms in _slots(ceil_slot(from_ms), floor_slot(to_ms), start_ms, stop_ms):
            worst[slot_ms] = IntervalQuality.MISSING
    return worst


def _slots(first_ms: int, last_ms: int, start_ms: int, stop_ms: int) -> range:
    return range(max(start_ms, first_ms), min(stop_ms, last_ms), SLOT_MS)


def _gaps(doubtful_spans: Sequence[DoubtfulSpan]) -> list[tuple[int, int]]:
    """Return the stretches of which nothing is known; those that touch are one."""
    gaps: list[tuple[int, int]] = []
    for doubtful in doubtful_spans:
        if not doubtful.is_gap:
            continue
        if gaps and doubtful.from_ms <= gaps[-1][1]:
            gaps[-1] = gaps[-1][0], doubtful.to_ms
        else:
            gaps.append((doubtful.from_ms, doubtful.to_ms))
    return gaps
