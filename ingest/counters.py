"""From what a counter showed to what it counted. Pure.

`unwrap` turns the reads of one counter into totals, which go on over rollovers and resets. The rules are
those of interval metering, tried from the top (c0 the value before, c1 after a decrease, M the modulus):

| what the reads show | verdict | what is counted between c0 and c1 |
|---|---|---|
| falls by at most two steps | jitter: the highest value of the last 30 min is held | 0 |
| jumps and falls back within the return time | spike: the high reads are rejected | the rise over the spike |
| falls and is back within it | dip: the fallen reads are rejected | the rise over the dip |
| c0 > 0.9 M, and at most M / 5 to c1 | rollover | M - c0 + c1 |
| c1 < c0 / 100 | reset: the counter began again at 0 | at least c1; *estimated* |
| any other fall | break: nothing is known | 0; *suspect* |

Invariants:
- Totals are integers of the counter's unit: last - first = c_end - c_start + n M + what resets, breaks add.
- The result is a function of the set of reads, whatever their order.
- Each verdict looks back at most `LOOK_BACK_MS` or the return time, and ahead at most the return time, so a
  window with that much more at its ends gives the same differences as all of history. For this reason a hold
  ends after 30 min: if the counter stays below, the total falls by those steps, and the sum stays true.
- A rejected read is in no sum.

A device that was exchanged (another serial or profile in `meters`) is a boundary between two calls.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from metering.series import IntervalQuality

HOLD_MS = 30 * 60 * 1000
#: A hold, and a verdict, depend on no earlier read than this before them.
LOOK_BACK_MS = 2 * HOLD_MS
#: A fall or jump that is over within this time, or two poll periods, was none.
SHORTEST_RETURN_MS = 15 * 60 * 1000

_JITTER_STEPS = 2
_RESET_SHARE = 100

#: UTC milliseconds and the counter's value.
Read = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CounterRules:
    """How a counter counts.

    Attributes:
        step: Smallest rise, in the counter's unit.
        modulus: Value at which it starts again from 0; `None` = unknown, so it cannot roll over.
        return_ms: Within this time a dip or spike is over.
    """

    step: int = 1
    modulus: int | None = None
    return_ms: int = SHORTEST_RETURN_MS

    def __post_init__(self) -> None:
        if self.step < 1 or (self.modulus is not None and self.modulus < 1) or self.return_ms < 0:
            raise ValueError(f"{self} cannot describe a counter")

    @property
    def jitter(self) -> int:
        """A fall up to this is none."""
        return _JITTER_STEPS * self.step

    def is_rollover(self, before: int, after: int) -> bool:
        """Tell whether a fall is the counter's beginning again at its modulus."""
        if self.modulus is None or not after < before < self.modulus:
            return False
        return before * 10 > self.modulus * 9 and (self.modulus - before + after) * 5 <= self.modulus


@dataclass(frozen=True, slots=True)
class Flaw:
    """A stretch of time in which what was counted is not fully known."""

    from_ms: int
    to_ms: int
    quality: IntervalQuality


@dataclass(frozen=True, slots=True)
class Course:
    """What a counter counted.

    Attributes:
        times_ms: Times of the accepted reads, ascending.
        totals: What was counted up to each, from an arbitrary start.
        flaws: In the order of time.
        rejected: Number of reads left out.
    """

    times_ms: Sequence[int] = ()
    totals: Sequence[int] = ()
    flaws: tuple[Flaw, ...] = ()
    rejected: int = 0


def unwrap(reads: Iterable[Read], rules: CounterRules) -> Course:
    """Give the course of a counter; of two values at the same time the higher one counts."""
    by_time = dict(sorted(reads))
    times_ms, values = list(by_time), list(by_time.values())
    if values == sorted(values):
        return Course(times_ms, values)
    return _Unwrapping(times_ms, values, rules).run()


@dataclass(slots=True)
class _Unwrapping:
    """The reads accepted so far; `accepted` are indexes into `times_ms` and `values`."""

    times_ms: list[int]
    values: list[int]
    rules: CounterRules
    accepted: list[int] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)
    #: Where the current segment begins in `accepted`, and what to add to its values.
    segment: int = 0
    offset: int = 0
    #: Candidates for the held value: indexes of the last `HOLD_MS`, values falling.
    peaks: deque[int] = field(default_factory=deque)

    def run(self) -> Course:
        position = 0
        while position < len(self.values):
            position = self._take(position)
        return Course(
            [self.times_ms[i] for i in self.accepted],
            self.totals,
            tuple(self.flaws),
            len(self.values) - len(self.accepted),
        )

    def _take(self, position: int) -> int:
        """Judge a read and give the position of the next one to judge."""
        while self.peaks and self.times_ms[position] - self.times_ms[self.peaks[0]] > HOLD_MS:
            self.peaks.popleft()
        peak = self.values[self.peaks[0] if self.peaks else self.accepted[-1]] if self.accepted else 0
        value = self.values[position]
        if self.accepted and peak - value > self.rules.jitter:
            # First, or two spikes soon after one another would make a dip of the truth between them.
            if self._drop_spike(position):
                return position
            back = self._end_of_dip(position, peak)
            if back > position:
                return back
            self._begin_segment(position, peak)
        self._accept(position)
        return position + 1

    def _accept(self, position: int) -> None:
        self._remember(position)
        self.accepted.append(position)
        self.totals.append(self.offset + self.values[self.peaks[0]])

    def _remember(self, position: int) -> None:
        while self.peaks and self.values[self.peaks[-1]] <= self.values[position]:
            self.peaks.pop()
        self.peaks.append(position)

    def _end_of_dip(self, position: int, peak: int) -> int:
        """Give the position at which the counter is back where it was, or the same where it never is.

        A value that is further above than the fall was deep is no return, but a spike after a reset.
        """
        lowest, highest = peak - self.rules.jitter, 2 * peak - self.values[position]
        until_ms = self.times_ms[position] + self.rules.return_ms
        for back in range(position + 1, len(self.values)):
            if self.times_ms[back] > until_ms:
                break
            if lowest <= self.values[back] <= highest:
                return back
        return position

    def _drop_spike(self, position: int) -> bool:
        """Take back accepted reads that a jump began and this read ends; false where there was no jump."""
        value = self.values[position]
        since_ms = self.times_ms[position] - self.rules.return_ms
        jump = 0
        for count in range(len(self.accepted) - 1, self.segment, -1):
            high, before = self.accepted[count], self.accepted[count - 1]
            if self.times_ms[high] < since_ms:
                return False
            jump = max(jump, self.values[high] - self.values[before])
            if self.values[before] <= value:
                if 2 * jump < self.values[self.accepted[-1]] - value:
                    return False  # it rose by and by: a counter that was reset
                self._truncate(count)
                return True
        return False

    def _truncate(self, count: int) -> None:
        del self.accepted[count:], self.totals[count:]
        self.peaks.clear()
        oldest_ms = self.times_ms[self.accepted[-1]] - HOLD_MS
        first = bisect_left(self.accepted, oldest_ms, self.segment, key=self.times_ms.__getitem__)
        for i in self.accepted[first:]:
            self._remember(i)

    def _begin_segment(self, position: int, before: int) -> None:
        value, total = self.values[position], self.totals[-1]
        last = self.accepted[-1]
        if self.rules.is_rollover(before, value):
            self.offset += self.rules.modulus or 0
        elif value * _RESET_SHARE < before:
            self.offset = total
            self._note(last, position, IntervalQuality.ESTIMATED)
        else:
            self.offset = total - value
            self._note(last, position, IntervalQuality.SUSPECT)
        self.segment = len(self.accepted)
        self.peaks.clear()

    def _note(self, before: int, after: int, quality: IntervalQuality) -> None:
        self.flaws.append(Flaw(self.times_ms[before], self.times_ms[after], quality))
