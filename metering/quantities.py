"""What can be measured: the closed vocabulary of quantities.

A quantity has one name everywhere: in a meter model, in a message, as an InfluxDB field. The name ends in
its unit. Counters are whole numbers of their unit (Wh, varh, L), gauges are floats. Positive power and
current mean import (from the grid to the user); positive flow means forward.

Ranges are what a meter in an industrial park can plausibly show, per meter, after CT and VT ratios; a value
outside is refused as *implausible*, not stored. A counter also has a maximum rise: no meter of a park
counts more within an hour. It bounds a meter of which nothing else is known (`ingest.rollup.caps`). A park
may declare more quantities, with a `Unit` (see `metering.park.model`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Medium(StrEnum):
    """What flows through the meter; also the name of the raw measurement in InfluxDB."""

    ELECTRICITY = "electricity"
    HEAT = "heat"
    GAS = "gas"
    WATER = "water"
    ENVIRONMENT = "environment"
    PRODUCTION = "production"


class Kind(StrEnum):
    """A gauge is a value at an instant; a counter only rises, until it resets or rolls over."""

    GAUGE = "gauge"
    COUNTER = "counter"


class Unit(StrEnum):
    """Units of stored values: the base units, then those a park may declare quantities in."""

    WATT = "W"
    VAR = "var"
    VOLT_AMPERE = "VA"
    VOLT = "V"
    AMPERE = "A"
    HERTZ = "Hz"
    WATT_HOUR = "Wh"
    VAR_HOUR = "varh"
    CUBIC_METRE_PER_HOUR = "m3/h"
    LITRE = "L"
    CELSIUS = "°C"
    ONE = "1"
    BAR = "bar"
    KILOGRAM = "kg"
    NORMAL_CUBIC_METRE = "Nm3"
    HOUR = "h"
    PIECES = "pieces"
    PPM = "ppm"
    PERCENT = "%"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that a meter can measure.

    Attributes:
        name: Field name, ending in the unit (`active_power_w`).
        unit: Unit of every stored value.
        kind: Gauge or counter.
        media: Media in which the quantity makes sense.
        low: Lowest plausible value, in `unit`.
        high: Highest plausible value, in `unit`.
        max_rise_per_h: Of a counter, the largest rise within an hour; `None` = without limit.
        opposite: Of a counter of one direction, the name of the counter of the other direction.
        is_directed: Whether the sign of a gauge is the direction of flow.

    Raises:
        ValueError: if `low` is not below `high`, a counter may be negative, a maximum rise limits nothing, a
            gauge has an opposite or a counter a sign.
    """

    name: str
    unit: Unit
    kind: Kind
    media: frozenset[Medium]
    low: float
    high: float
    max_rise_per_h: int | None = None
    opposite: str | None = None
    is_directed: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"quantity {self.name}: low {self.low} is not below high {self.high}")
        if self.kind is Kind.COUNTER and self.low < 0:
            raise ValueError(f"quantity {self.name}: a counter cannot be negative")
        if self.max_rise_per_h is not None and (not self.is_counter or self.max_rise_per_h < 1):
            raise ValueError(f"quantity {self.name}: only a counter has a maximum rise, from 1 on")
        if self.opposite is not None and not self.is_counter:
            raise ValueError(f"quantity {self.name}: only a counter has an opposite")
        if self.is_directed and self.low >= 0:
            raise ValueError(f"quantity {self.name}: only what may be negative has a sign")

    @property
    def is_counter(self) -> bool:
        """Whether the value is a counter, and so a whole number of `unit`."""
        return self.kind is Kind.COUNTER

    def is_plausible(self, value: float) -> bool:
        """Tell whether a value lies in the quantity's range; false for NaN."""
        return self.low <= value <= self.high


_EL = (Medium.ELECTRICITY,)
_FLUID = (Medium.WATER, Medium.GAS, Medium.HEAT)
# Counters travel as floats in InfluxDB, which are exact up to 2^53.
COUNTER_LIMIT = 2.0**53
# 400 MW and 400 Mvar: above any industrial park's connection; 500 kV covers every public grid.
_POWER = 4e8
_VOLTAGE = 5e5
_CURRENT = 1e5
# Of one meter: 100 MW, a connection at 110 kV; 10,000 m3/h, a pipe of 1 m at 3.5 m/s; 280 pieces a second.
_RISE_WH = 100_000_000
_RISE_L = 10_000_000
_RISE_PIECES = 1_000_000
_RISE_KG = 1_000_000


def _gauge(
    name: str, unit: Unit, media: tuple[Medium, ...], low: float, high: float, *, is_directed: bool = False
) -> Quantity:
    return Quantity(
        name=name,
        unit=unit,
        kind=Kind.GAUGE,
        media=frozenset(media),
        low=low,
        high=high,
        is_directed=is_directed,
    )


def _counter(
    name: str, unit: Unit, media: tuple[Medium, ...], max_rise_per_h: int, *, opposite: str | None = None
) -> Quantity:
    return Quantity(
        name=name,
        unit=unit,
        kind=Kind.COUNTER,
        media=frozenset(media),
        low=0,
        high=COUNTER_LIMIT,
        max_rise_per_h=max_rise_per_h,
        opposite=opposite,
    )


def _pair(
    one: str, other: str, unit: Unit, media: tuple[Medium, ...], max_rise_per_h: int
) -> tuple[Quantity, Quantity]:
    """Return the counters of the two directions of one flow."""
    return (
        _counter(one, unit, media, max_rise_per_h, opposite=other),
        _counter(other, unit, media, max_rise_per_h, opposite=one),
    )


_ALL = (
    _gauge("active_power_w", Unit.WATT, _EL, -_POWER, _POWER, is_directed=True),
    _gauge("active_power_l1_w", Unit.WATT, _EL, -_POWER, _POWER, is_directed=True),
    _gauge("active_power_l2_w", Unit.WATT, _EL, -_POWER, _POWER, is_directed=True),
    _gauge("active_power_l3_w", Unit.WATT, _EL, -_POWER, _POWER, is_directed=True),
    _gauge("reactive_power_var", Unit.VAR, _EL, -_POWER, _POWER, is_directed=True),
    _gauge("apparent_power_va", Unit.VOLT_AMPERE, _EL, 0, _POWER),
    _gauge("voltage_l1_v", Unit.VOLT, _EL, 0, _VOLTAGE),
    _gauge("voltage_l2_v", Unit.VOLT, _EL, 0, _VOLTAGE),
    _gauge("voltage_l3_v", Unit.VOLT, _EL, 0, _VOLTAGE),
    _gauge("current_l1_a", Unit.AMPERE, _EL, -_CURRENT, _CURRENT),
    _gauge("current_l2_a", Unit.AMPERE, _EL, -_CURRENT, _CURRENT),
    _gauge("current_l3_a", Unit.AMPERE, _EL, -_CURRENT, _CURRENT),
    _gauge("power_factor", Unit.ONE, _EL, -1, 1),
    _gauge("frequency_hz", Unit.HERTZ, _EL, 40, 70),
    *_pair("energy_import_wh", "energy_export_wh", Unit.WATT_HOUR, _EL, _RISE_WH),
    *_pair("reactive_energy_import_varh", "reactive_energy_export_varh", Unit.VAR_HOUR, _EL, _RISE_WH),
    *_pair("volume_l", "volume_reverse_l", Unit.LITRE, _FLUID, _RISE_L),
    _gauge("flow_m3h", Unit.CUBIC_METRE_PER_HOUR, _FLUID, -1e5, 1e5, is_directed=True),
    _counter("heat_energy_wh", Unit.WATT_HOUR, (Medium.HEAT,), _RISE_WH),
    _gauge("heat_power_w", Unit.WATT, (Medium.HEAT,), -_POWER, _POWER),
    _gauge("supply_temperature_c", Unit.CELSIUS, (Medium.HEAT,), -50, 400),
    _gauge("return_temperature_c", Unit.CELSIUS, (Medium.HEAT,), -50, 400),
    _gauge("temperature_c", Unit.CELSIUS, (Medium.WATER, Medium.GAS, Medium.ENVIRONMENT), -60, 400),
    _gauge("humidity", Unit.ONE, (Medium.ENVIRONMENT,), 0, 1),
    _counter("output_pieces", Unit.PIECES, (Medium.PRODUCTION,), _RISE_PIECES),
    _counter("output_kg", Unit.KILOGRAM, (Medium.PRODUCTION,), _RISE_KG),
)

#: Every quantity shipped with the product, by name.
VOCABULARY: Mapping[str, Quantity] = MappingProxyType({quantity.name: quantity for quantity in _ALL})
