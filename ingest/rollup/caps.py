"""How fast each counter of a park can rise, and its course under that cap.

What bounds a counter, the first that is known:

| known of the meter | highest power or flow |
|---|---|
| electricity: `fuse_a` in the park description | 1.2 x sqrt(3) x U x the fuse's rating |
| electricity: the current transformers in the birth | 1.2 x sqrt(3) x U x their rated primary current |
| a day or more of reads | 3 x its highest quarter-hour of 28 days; never below 1/1000 of the last line |
| nothing | the quantity's own maximum rise |

U is the primary voltage of the voltage transformers in the birth, else 400 V. The highest quarter-hour is the
fifth highest of the raw reads, up to the end of the slots that are computed: up to four that an exchange or
corrupt reads made too high have no effect, and a load that is new is known after an hour and a quarter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.intervals.counters import CounterRules, CounterSeries, Read
from ingest.intervals.joints import unwrap_between
from ingest.intervals.rises import MAINS_V, MS_PER_HOUR, cap_of, rated_per_h
from ingest.intervals.spans import SlotSpan
from ingest.rollup.series.facts import Counting
from ingest.rollup.series.raw import RawDatabase
from metering.park.model import Park
from metering.quantities import Medium, Quantity, Unit
from metering.series import SLOT_MS

#: A device updates its registers at least so often; a fuse lets several times its rating pass for so long.
_SLACK_MS = 60_000
#: Some meters update their registers once an hour; three times the highest power makes an hour of 20 min.
_LEARNED_SLACK_MS = 20 * 60_000
_LEARNED_FROM_MS = 28 * 24 * MS_PER_HOUR
_MIN_QUARTER_HOURS = 96
_RANK = 5
_TIMES = 3
_SHARE_OF_MAXIMUM = 1000
_ELECTRIC = frozenset({Unit.WATT_HOUR, Unit.VAR_HOUR})


@dataclass(frozen=True, slots=True)
class CounterReads:
    """The reads of one counter of a meter, in and around a span of slots."""

    meter: str
    medium: Medium
    quantity: str
    span: SlotSpan
    reads: Sequence[Read]


class Caps:
    """The caps of a park's counters, by one edition of its description."""

    def __init__(self, raw: RawDatabase, park: Park) -> None:
        self._raw = raw
        self._park = park
        self._quantities = park.quantities

    def series(self, counter: CounterReads, counting: Counting) -> CounterSeries:
        """Return the course of a counter.

        Raises:
            StoreError: when its power or flow before cannot be read.
        """
        rules = counting.rules(counter.quantity)
        quantity = self._quantities[counter.quantity]
        maybe_rated_per_h = self._maybe_rated_per_h(counter.meter, quantity, counting)
        if maybe_rated_per_h is not None:
            return _series(counter, counting, rules, maybe_rated_per_h, _SLACK_MS)
        maximum_per_h = quantity.max_rise_per_h
        if maximum_per_h is None:
            return unwrap_between(counter.reads, rules, [joint.at_ms for joint in counting.joints])
        lowest_per_h = max(1, maximum_per_h // _SHARE_OF_MAXIMUM)
        series = _series(counter, counting, rules, lowest_per_h, _LEARNED_SLACK_MS)
        if not series.excesses:  # as for nearly all: no higher cap would change anything
            return series
        maybe_learned_per_h = self._maybe_learned_per_h(counter)
        if maybe_learned_per_h is None:
            return _series(counter, counting, rules, maximum_per_h, _SLACK_MS)
        return _series(counter, counting, rules, max(lowest_per_h, maybe_learned_per_h), _LEARNED_SLACK_MS)

    def _maybe_rated_per_h(self, meter: str, quantity: Quantity, counting: Counting) -> int | None:
        if quantity.unit not in _ELECTRIC or Medium.ELECTRICITY not in quantity.media:
            return None
        maybe_meter = self._park.meters.get(meter)
        maybe_fuse_a = None if maybe_meter is None else maybe_meter.fuse_a
        maybe_current_a = maybe_fuse_a or counting.ct_primary_a
        if maybe_current_a is None:
            return None
        return rated_per_h(maybe_current_a, counting.vt_primary_v or MAINS_V)

    def _maybe_learned_per_h(self, counter: CounterReads) -> int | None:
        span = SlotSpan(counter.span.start_ms - _LEARNED_FROM_MS, counter.span.stop_ms)
        highest, count = self._raw.highest_quarter_hours(
            counter.medium, counter.meter, counter.quantity, span, count=_RANK
        )
        if count < _MIN_QUARTER_HOURS:
            return None
        return round(highest[-1]) * (MS_PER_HOUR // SLOT_MS) * _TIMES


def _series(
    counter: CounterReads, counting: Counting, rules: CounterRules, per_h: int, slack_ms: int
) -> CounterSeries:
    capped = replace(rules, cap=cap_of(per_h, step=rules.step, slack_ms=slack_ms))
    return unwrap_between(counter.reads, capped, [joint.at_ms for joint in counting.joints])
