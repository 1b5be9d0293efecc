"""Grafana's unit ids for our units.

Source of the ids: grafana-data `valueFormats/categories.ts`; units that Grafana does not have are suffixes.
Grafana scales W, Wh and litres by itself (kW, MWh).
"""

from collections.abc import Mapping
from types import MappingProxyType

from metering.quantities import Unit

GRAFANA_UNIT: Mapping[Unit, str] = MappingProxyType(
    {
        Unit.WATT: "watt",
        Unit.VAR: "voltampreact",
        Unit.VOLT_AMPERE: "voltamp",
        Unit.VOLT: "volt",
        Unit.AMPERE: "amp",
        Unit.HERTZ: "hertz",
        Unit.WATT_HOUR: "watth",
        Unit.VAR_HOUR: "suffix:varh",
        Unit.CUBIC_METRE_PER_HOUR: "suffix:m³/h",
        Unit.LITRE: "litre",
        Unit.CELSIUS: "celsius",
        Unit.ONE: "none",
        Unit.BAR: "pressurebar",
        Unit.KILOGRAM: "masskg",
        Unit.NORMAL_CUBIC_METRE: "Nm3",
        Unit.HOUR: "h",
        Unit.PIECES: "none",
        Unit.PPM: "ppm",
        Unit.PERCENT: "percent",
    }
)

POWER = GRAFANA_UNIT[Unit.WATT]
ENERGY = GRAFANA_UNIT[Unit.WATT_HOUR]
FLOW = GRAFANA_UNIT[Unit.CUBIC_METRE_PER_HOUR]
VOLUME_M3 = "m3"
SHARE = "percentunit"
COUNT = "none"
AGE = "dateTimeFromNow"
INSTANT = "dateTimeAsIso"
BYTES = "decbytes"
DURATION = "s"
