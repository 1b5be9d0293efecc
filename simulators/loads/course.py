"""A simulated flow over time and its integral, so that a meter's counters agree with its power. Pure.

Invariants:
- The rate is given at knots 15 min apart, linear between them, plus a ripple that makes live values move.
- The ripple integrates to zero over each 15 min and never changes the rate's sign; so it does not change the
  counters at the knots, and sums of courses agree with their parts at every slot of the product.
- `imported` and `exported` are the exact integrals of the rate's positive and negative part since the origin:
  both only ever rise.
- Everything is a function of time alone: history and live values lie on the same counters.
"""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

KNOT_MS = 900_000
KNOTS_PER_DAY = 96
_KNOT_H = 0.25
#: Ripple waves per knot interval: 225 s, 100 s and 39 s.
WAVES = (4, 9, 23)
# All waves together move the rate by at most this part of it.
_RIPPLE = 0.24


@dataclass(frozen=True, slots=True)
class Flow:
    """The flow through a meter at an instant.

    Attributes:
        rate: Power in W or flow in m3/h; positive = import.
        imported: Integral of the positive part since the origin, in Wh or m3.
        exported: Integral of the negative part, positive.
    """

    rate: float
    imported: float
    exported: float


@dataclass(frozen=True, slots=True)
class Course:
    """A rate over time; see the module's invariants.

    Attributes:
        origin_ms: UTC ms of the first knot, a whole number of knots.
        knots: Rates, 15 min apart.
        ripple: Amplitude of each wave in each interval.
        imported: Integral of the positive part up to each knot.
        exported: Integral of the negative part up to each knot.
    """

    origin_ms: int
    knots: FloatArray
    ripple: FloatArray
    imported: FloatArray
    exported: FloatArray

    def at(self, instant_ms: int) -> Flow:
        """Return the flow at an instant.

        Raises:
            ValueError: for an instant before the origin or behind the last knot.
        """
        index, rest_ms = divmod(instant_ms - self.origin_ms, KNOT_MS)
        if not 0 <= index < len(self.knots) - 1:
            raise ValueError(f"instant {instant_ms} ms is outside the simulated time")
        x = rest_ms / KNOT_MS
        first, last = float(self.knots[index]), float(self.knots[index + 1])
        rate, wave_h = first + (last - first) * x, 0.0
        for amplitude, waves in zip(self.ripple[index].tolist(), WAVES, strict=True):
            angle = 2 * pi * waves
            rate += amplitude * sin(angle * x)
            wave_h += amplitude * _KNOT_H * (1 - cos(angle * x)) / angle
        up, down = _areas(first, last, x)
        if first + last >= 0:
            up += wave_h
        else:
            down -= wave_h
        return Flow(rate, float(self.imported[index]) + up, float(self.exported[index]) + down)


def _areas(first: float, last: float, x: float) -> tuple[float, float]:
    """Return the areas above and below zero of a line from `first` to `last`, up to part x of an interval."""
    now = first + (last - first) * x
    if first * now >= 0:
        area = _KNOT_H * x * (first + now) / 2
        return (area, 0.0) if area >= 0 else (0.0, -area)
    crossing = x * first / (first - now)
    before = _KNOT_H * crossing * abs(first) / 2
    after = _KNOT_H * (x - crossing) * abs(now) / 2
    return (before, after) if first > 0 else (after, before)


def course(origin_ms: int, knots: FloatArray, rng: np.random.Generator) -> Course:
    """Build a course from its knots; the rng decide the ripple.

    Raises:
        ValueError: when the origin is no whole number of knots.
    """
    if origin_ms % KNOT_MS:
        raise ValueError(f"origin {origin_ms} ms is not at a quarter of an hour")
    first, last = knots[:-1], knots[1:]
    room = np.where(first * last > 0, np.minimum(np.abs(first), np.abs(last)), 0.0)
    shares = rng.uniform(-1, 1, (len(room), len(WAVES))) / len(WAVES)
    up, down = _all_areas(first, last)
    return Course(
        origin_ms=origin_ms,
        knots=knots,
        ripple=shares * (_RIPPLE * room)[:, np.newaxis],
        imported=np.concatenate(([0.0], np.cumsum(up))),
        exported=np.concatenate(([0.0], np.cumsum(down))),
    )


def _all_areas(first: FloatArray, last: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Do for whole intervals what `_areas` does for one instant."""
    area = _KNOT_H * (first + last) / 2
    crosses = first * last < 0
    width = np.where(crosses, np.abs(first) + np.abs(last), 1.0)
    from_first = _KNOT_H * first * first / width / 2
    from_last = _KNOT_H * last * last / width / 2
    up = np.where(crosses, np.where(first > 0, from_first, from_last), np.maximum(area, 0.0))
    down = np.where(crosses, np.where(first > 0, from_last, from_first), np.maximum(-area, 0.0))
    return up, down
