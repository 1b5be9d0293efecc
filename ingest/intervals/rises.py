"""How much a counter can rise between two reads. Pure.

A cap is a power (Wh per hour) or flow (L per hour), so what is allowed grows with the time between the reads:
a large rise over a long gap is a legitimate catch-up, the same rise within seconds is none. The slack is
allowed at any gap: a read is rounded to the counter's step and stamped a little late, and a device may update
its registers less often than it is polled.

All is done in Python integers, so the comparison is exact at any size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import sub

MS_PER_HOUR = 3_600_000

#: Mains of an industrial park: 400 V between phases, unless the meter has a voltage transformer.
MAINS_V = 400.0
#: Above the rating of a fuse or transformer a load may be for a while.
_OVERLOAD = 1.2


@dataclass(frozen=True, slots=True)
class RiseCap:
    """The largest rise that can be what was counted.

    Attributes:
        per_h: Units of the counter per hour.
        slack: Units allowed besides, however short the gap.
    """

    per_h: int
    slack: int = 0

    def __post_init__(self) -> None:
        if self.per_h < 1 or self.slack < 0:
            raise ValueError(f"{self} cannot limit a counter")

    def allows(self, rise: int, gap_ms: int) -> bool:
        """Tell whether a counter can have risen so much within a gap."""
        return (rise - self.slack) * MS_PER_HOUR <= self.per_h * gap_ms

    def allows_all(self, times_ms: Sequence[int], values: Sequence[int]) -> bool:
        """Tell whether each rise between neighbouring reads is allowed."""
        slack, per_h = self.slack, self.per_h
        # Nearly always true, and four times as fast.
        if max(map(sub, values[1:], values), default=0) <= slack:
            return True
        return all(
            (after - before - slack) * MS_PER_HOUR <= per_h * (to_ms - from_ms)
            for before, after, from_ms, to_ms in zip(values, values[1:], times_ms, times_ms[1:], strict=False)
        )


def cap_of(per_h: int, *, step: int, slack_ms: int) -> RiseCap:
    """Return the cap of a counter: two steps and `slack_ms` of the highest rise are allowed at any gap."""
    return RiseCap(per_h, 2 * step + per_h * slack_ms // MS_PER_HOUR)


def rated_per_h(current_a: float, voltage_v: float = MAINS_V) -> int:
    """Return the highest power (W, so Wh per hour) of three phases at a rated current.

    1.2 x sqrt(3) x U x I, the limit of interval metering for a fuse's rating.
    """
    return math.ceil(_OVERLOAD * math.sqrt(3) * voltage_v * current_a)
