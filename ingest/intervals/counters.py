"""From what a counter showed to what it counted. Pure.

`unwrap` turns the reads of one counter into totals, which continue over rollovers and resets. The rules are
those of interval metering, tried from the top (c0 the value before, c1 after a decrease, M the modulus):

| what the reads show | verdict | what is counted between c0 and c1 |
|---|---|---|
| falls by at most two steps | jitter: the highest value of the last 30 min is held | 0 |
| jumps and falls back within the return time | spike: the high reads are rejected | the rise over the spike |
| falls and is back within it | dip: the fallen reads are rejected | the rise over the dip |
| c0 > 0.9 M, and at most M / 5 to c1 | rollover | M - c0 + c1 |
| c1 < c0 / 100 | reset: the counter began again at 0 | at least c1; *estimated* |
| any other fall | break: nothing is known | 0; *suspect* |
| rises above the cap, is back in the return time | corrupt: the high reads are rejected | the rise over it |
| rises above the cap, and stays | jump: another device, or corrupt for longer | 0; *suspect* |
| falls back to where it was before a doubted jump | it was corrupt | the rise since before it; *suspect* |

The cap (`ingest.intervals.rises`) bounds each rise that any of these verdicts would count: also what a
roll-over, a reset or the end of a dip adds. After a jump reads are doubted (*suspect*) for
`CounterRules.doubt_ms`.

Invariants:
- Totals are integers of the counter's unit: last - first = c_end - c_start + n M + what resets, breaks add.
- The result is a function of the set of reads, whatever their order.
- Each verdict looks back at most `LOOK_BACK_MS` or the return time, and ahead at most the return time, so a
  window with that much more at its ends gives the same differences as all of history. For this reason a hold
  ends after 30 min: if the counter stays below, the total falls by those steps, and the sum stays true.
- A rejected read is in no sum, nor is a rise above the cap.

A device that is known to have been exchanged is a boundary between two calls (`ingest.intervals.joints`).
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ingest.intervals.rises import RiseCap
from metering.series import IntervalQuality

HOLD_MS = 30 * 60 * 1000
#: A hold, and a verdict, depend on no earlier read than this before them.
LOOK_BACK_MS = 2 * HOLD_MS
#: A fall or jump that is over within this time, or two poll periods, is a dip or spike.
MIN_RETURN_MS = 15 * 60 * 1000

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
        cap: How fast it can rise; `None` = without limit.
    """

    step: int = 1
    modulus: int | None = None
    return_ms: int = MIN_RETURN_MS
    cap: RiseCap | None = None

    def __post_init__(self) -> None:
        if self.step < 1 or (self.modulus is not None and self.modulus < 1) or self.return_ms < 0:
            raise ValueError(f"{self} cannot describe a counter")

    @property
    def jitter(self) -> int:
        """Decreases up to this are jitter."""
        return _JITTER_STEPS * self.step

    @property
    def doubt_ms(self) -> int:
        """How long reads are doubted after a jump; with the read before it, within `LOOK_BACK_MS`."""
        return max(0, LOOK_BACK_MS - max(MIN_RETURN_MS, self.return_ms // 2))

    def allows(self, rise: int, gap_ms: int) -> bool:
        """Tell whether a rise is within the cap."""
        return self.cap is None or self.cap.allows(rise, gap_ms)

    def is_rollover(self, before: int, after: int) -> bool:
        """Tell whether a fall is the counter's beginning again at its modulus."""
        if self.modulus is None or not after < before < self.modulus:
            return False
        return before * 10 > self.modulus * 9 and (self.modulus - before + after) * 5 <= self.modulus


@dataclass(frozen=True, slots=True)
class DoubtfulSpan:
    """A stretch of time in which what was counted is not fully known.

    Attributes:
        is_gap: Whether nothing at all is known of it, so that a slot within it has no value.
    """

    from_ms: int
    to_ms: int
    quality: IntervalQuality
    is_gap: bool = False


@dataclass(frozen=True, slots=True)
class Excess:
    """A rise that no device of this rating can have counted.

    Attributes:
        from_ms: Time of the last read before it.
        to_ms: Time of the first read after it.
        rise: In the counter's unit.
        per_h: The cap that it exceeds.
        is_over: Whether the counter was back soon, so that the reads were corrupt.
    """

    from_ms: int
    to_ms: int
    rise: int
    per_h: int
    is_over: bool


@dataclass(frozen=True, slots=True)
class CounterSeries:
    """What a counter counted.

    Attributes:
        times_ms: Times of the accepted reads, ascending.
        totals: What was counted up to each, from an arbitrary start.
        flaws: In the order of time.
        rejected: Number of reads left out.
        excesses: Rises above the cap, in the order of time.
    """

    times_ms: Sequence[int] = ()
    totals: Sequence[int] = ()
    doubtful_spans: tuple[DoubtfulSpan, ...] = ()
    rejected: int = 0
    excesses: tuple[Excess, ...] = ()


def unwrap(reads: Iterable[Read], rules: CounterRules) -> CounterSeries:
    """Return the series of a counter; of two values at the same time the higher one counts."""
    by_time = dict(sorted(reads))
    times_ms, values = list(by_time), list(by_time.values())
    if values == sorted(values) and (rules.cap is None or rules.cap.allows_all(times_ms, values)):
        return CounterSeries(times_ms, values)
    return _Unwrapping(times_ms, values, rules).run()


@dataclass(frozen=True, slots=True)
class _Jump:
    """Where a counter stood before it rose by more than the cap, and what had to be added to its values."""

    before_ms: int
    at_ms: int
    peak: int
    offset: int


@dataclass(slots=True)
class _Unwrapping:
    """The reads accepted so far; `accepted` are indexes into `times_ms` and `values`."""

    times_ms: list[int]
    values: list[int]
    rules: CounterRules
    accepted: list[int] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    doubtful_spans: list[DoubtfulSpan] = field(default_factory=list)
    #: Where the current segment begins in `accepted`, and what to add to its values.
    segment: int = 0
    offset: int = 0
    #: Candidates for the held value: indexes of the last `HOLD_MS`, values falling.
    peaks: deque[int] = field(default_factory=deque)
    excesses: list[Excess] = field(default_factory=list)
    #: Jumps that are still doubted, in the order of time.
    jumps: list[_Jump] = field(default_factory=list)

    def run(self) -> CounterSeries:
        position = 0
        while position < len(self.values):
            position = self._take(position)
        return CounterSeries(
            [self.times_ms[i] for i in self.accepted],
            self.totals,
            tuple(self.doubtful_spans),
            len(self.values) - len(self.accepted),
            tuple(self.excesses),
        )

    def _take(self, position: int) -> int:
        """Accept, reject or bridge a read; return the position of the next one."""
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
        elif self.accepted and not self._allows(value - peak, position):
            back = self._end_of_jump(position, peak)
            self._note_excess(position, value - peak, is_over=back > position)
            if back > position:
                return back
            self._begin_after_jump(position, peak)
        self._accept(position)
        return position + 1

    def _allows(self, rise: int, position: int) -> bool:
        """Tell whether a rise from the last accepted read to this one is within the cap."""
        return self.rules.allows(rise, self.times_ms[position] - self.times_ms[self.accepted[-1]])

    def _note_excess(self, position: int, rise: int, *, is_over: bool) -> None:
        per_h = 0 if self.rules.cap is None else self.rules.cap.per_h
        times_ms = self.times_ms[self.accepted[-1]], self.times_ms[position]
        self.excesses.append(Excess(*times_ms, rise, per_h, is_over))

    def _accept(self, position: int) -> None:
        self._remember(position)
        self.accepted.append(position)
        self.totals.append(self.offset + self.values[self.peaks[0]])

    def _remember(self, position: int) -> None:
        while self.peaks and self.values[self.peaks[-1]] <= self.values[position]:
            self.peaks.pop()
        self.peaks.append(position)

    def _end_of_dip(self, position: int, peak: int) -> int:
        """Return the position at which the counter is back where it was, or the same where it never is.

        A value that is further above than the fall was deep, or than the cap allows, is no return, but a
        spike after a reset.
        """
        lowest, highest = peak - self.rules.jitter, 2 * peak - self.values[position]
        until_ms = self.times_ms[position] + self.rules.return_ms
        for back in range(position + 1, len(self.values)):
            if self.times_ms[back] > until_ms:
                break
            if lowest <= self.values[back] <= highest and self._allows(self.values[back] - peak, back):
                return back
        return position

    def _end_of_jump(self, position: int, peak: int) -> int:
        """Return the position at which the counter is back on its course, or the same where it never is.

        It must fall: what only rises on is allowed some time later, but was not counted in that time.
        """
        until_ms = self.times_ms[position] + self.rules.return_ms
        high = self.values[position]
        for back in range(position + 1, len(self.values)):
            if self.times_ms[back] > until_ms:
                break
            value = self.values[back]
            has_fallen = high - value > self.rules.jitter
            if has_fallen and value - peak >= -self.rules.jitter and self._allows(value - peak, back):
                return back
            high = max(high, value)
        return position

    def _begin_after_jump(self, position: int, peak: int) -> None:
        """Count on from this read; the time around it is doubted."""
        before_ms, at_ms = self.times_ms[self.accepted[-1]], self.times_ms[position]
        self.jumps = [*self._doubted_jumps(at_ms), _Jump(before_ms, at_ms, peak, self.offset)]
        self.offset = self.totals[-1] - self.values[position]
        self.doubtful_spans.append(DoubtfulSpan(before_ms, at_ms, IntervalQuality.SUSPECT, is_gap=True))
        self.doubtful_spans.append(DoubtfulSpan(at_ms, at_ms + self.rules.doubt_ms, IntervalQuality.SUSPECT))
        self._end_segment()

    def _doubted_jumps(self, at_ms: int) -> list[_Jump]:
        return [jump for jump in self.jumps if at_ms - jump.at_ms <= self.rules.doubt_ms]

    def _end_segment(self) -> None:
        self.segment = len(self.accepted)
        self.peaks.clear()

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
        if self._resumes(position):
            self._note(last, position, IntervalQuality.SUSPECT)
        elif self._is_rollover(position, before):
            self.offset += self.rules.modulus or 0
        elif self._is_reset(position, before):
            self.offset = total
            self._note(last, position, IntervalQuality.ESTIMATED)
        else:
            self.offset = total - value
            self._note(last, position, IntervalQuality.SUSPECT)
        self._end_segment()

    def _resumes(self, position: int) -> bool:
        """Continue where the counter was before a jump, the earliest from which it can have come."""
        value, at_ms = self.values[position], self.times_ms[position]
        for jump in self._doubted_jumps(at_ms):
            rise = value - jump.peak
            if rise >= -self.rules.jitter and self.rules.allows(rise, at_ms - jump.before_ms):
                self.offset = jump.offset
                self.jumps.clear()
                return True
        return False

    def _is_rollover(self, position: int, before: int) -> bool:
        value, modulus = self.values[position], self.rules.modulus
        if modulus is None or not self.rules.is_rollover(before, value):
            return False
        return self._is_allowed_or_noted(modulus - before + value, position)

    def _is_reset(self, position: int, before: int) -> bool:
        value = self.values[position]
        return value * _RESET_SHARE < before and self._is_allowed_or_noted(value, position)

    def _is_allowed_or_noted(self, rise: int, position: int) -> bool:
        is_allowed = self._allows(rise, position)
        if not is_allowed:
            self._note_excess(position, rise, is_over=False)
        return is_allowed

    def _note(self, before: int, after: int, quality: IntervalQuality) -> None:
        self.doubtful_spans.append(DoubtfulSpan(self.times_ms[before], self.times_ms[after], quality))
