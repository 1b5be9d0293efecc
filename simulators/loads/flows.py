"""What flows through each meter of a simulated park, as a pure function of time. All of it is simulated.

A meter's course is its own load (a standard profile, the sun, a water district, each with noise of the
meter's own) plus the sum of the meters behind it; so a main meter agrees with its sub-meters in every slot.
Counters begin at the origin with a number of the meter's own, as if it had been counting for years.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from simulators.loads.course import Course, FloatArray, Flow, course
from simulators.loads.shapes import Calendar, electricity, noise, rng_for, sun, water
from simulators.wires import LoadEntry

_HOURS_PER_YEAR = 8760.0
_NOISE = 0.06
_CLOUD_NOISE = 0.02
#: For how long after its start a simulated park has loads.
DAYS_AHEAD = 400
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Load:
    """One meter's flow with its counters as they stand.

    Attributes:
        course: The flow since the origin.
        start: What the import counter showed at the origin, in Wh or m3.
    """

    course: Course
    start: float

    def at(self, instant_ms: int) -> Flow:
        """Return power or flow and both counters at an instant.

        Raises:
            ValueError: for an instant outside the simulated time.
        """
        flow = self.course.at(instant_ms)
        return Flow(flow.rate, self.start + flow.imported, flow.exported)


def default_origin_ms(now_ms: int, *, days: int = 0) -> int:
    """Return a first knot well before now and before any history of so many days: a 1 January, UTC."""
    earliest = datetime.fromtimestamp(now_ms / 1000, UTC).year - 1
    year = datetime.fromtimestamp(now_ms / 1000 - (days + 2) * 86_400, UTC).year
    return int(datetime(min(earliest, year), 1, 1, tzinfo=UTC).timestamp() * 1000)


def days_until(now_ms: int, origin_ms: int) -> int:
    """Return how many days a calendar from the origin must have to serve from now on."""
    return (now_ms - origin_ms) // _DAY_MS + DAYS_AHEAD


def build_loads(
    entries: Mapping[str, LoadEntry], meters: Iterable[str], calendar: Calendar
) -> dict[str, Load]:
    """Return the loads of some meters, and those that they are sums of.

    Raises:
        ValueError: for an unknown profile or district.
    """
    shapes = _Shapes(calendar)
    knots: dict[str, FloatArray] = {}
    for meter in meters:
        _add_knots(meter, entries, shapes, knots)
    return {
        meter: Load(
            course(calendar.origin_ms, knots[meter], rng_for(f"{meter} ripple")),
            _start(meter, entries[meter]),
        )
        for meter in meters
    }


def _start(meter: str, entry: LoadEntry) -> float:
    is_water = entry.district is not None
    unit = 1.0 if is_water else 1000.0
    if entry.start is not None:
        return entry.start * unit
    yearly = entry.m3_per_year if is_water else max(entry.kwh_per_year, 20_000.0)
    return 0.0 if entry.pv_kwp else round(yearly * float(rng_for(f"{meter} start").uniform(0.5, 3.0))) * unit


def _add_knots(
    meter: str, entries: Mapping[str, LoadEntry], shapes: "_Shapes", knots: dict[str, FloatArray]
) -> FloatArray:
    if meter not in knots:
        own = _own(meter, entries[meter], shapes)
        for part in entries[meter].sum:
            own = own + _add_knots(part, entries, shapes, knots)
        knots[meter] = own
    return knots[meter]


def _own(meter: str, entry: LoadEntry, shapes: "_Shapes") -> FloatArray:
    own = np.zeros(shapes.calendar.count)
    if entry.profile is not None:
        mean_w = entry.kwh_per_year * 1000.0 / _HOURS_PER_YEAR
        own += mean_w * shapes.electricity(entry.profile) * noise(meter, shapes.calendar, spread=_NOISE)
    if entry.district is not None:
        mean_m3h = entry.m3_per_year / _HOURS_PER_YEAR
        own += mean_m3h * shapes.water(entry.district) * noise(meter, shapes.calendar, spread=_NOISE)
    if entry.pv_kwp:
        peak_w = entry.pv_kwp * 1000.0
        own -= peak_w * shapes.sun() * noise(meter, shapes.calendar, spread=_CLOUD_NOISE)
    return own


class _Shapes:
    """Shapes that several meters share, each made once."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._made: dict[str, FloatArray] = {}

    def electricity(self, profile: str) -> FloatArray:
        if profile not in self._made:
            self._made[profile] = electricity(profile, self.calendar)
        return self._made[profile]

    def water(self, district: int) -> FloatArray:
        name = f"district {district}"
        if name not in self._made:
            self._made[name] = water(district, self.calendar)
        return self._made[name]

    def sun(self) -> FloatArray:
        if "sun" not in self._made:
            self._made["sun"] = sun(self.calendar)
        return self._made["sun"]
