"""What to simulate, read from files: the gateways' own configuration and a table of loads beside it.

The gateway files, with which real gateways could run, have the meters of each bus; the loads file has what
flows through each meter. So a simulated meter is wired exactly as the gateway is configured. Only the keys
that matter to a wire are read here; `zonewise-edge check` checks the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, ConfigDict, Field

from edge.catalogue.models import find
from edge.drivers.wiring import Wiring
from edge.errors import EdgeError
from metering.errors import ConfigError, Problem
from metering.park.description import GatewayId, MeterId, ParkId
from metering.program.config import Location, Model, load


def _ratio(written: object) -> object:
    """Read `250/5` as an exact fraction."""
    return Fraction(written.replace(" ", "")) if isinstance(written, str) else written


Ratio = Annotated[Fraction, BeforeValidator(_ratio)]


class _Lenient(Model):
    """A part of a gateway file; keys that matter only to the gateway are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)


class BusEntry(_Lenient):
    """A bus of a gateway file."""

    tcp: str | None = None
    serial: str | None = None
    rtu_over_tcp: str | None = None
    baud: int = 9600
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: int = 1


class MeterOnBus(_Lenient):
    """A meter of a gateway file."""

    model: str
    bus: str
    address: int
    id: MeterId | None = None
    channels: Mapping[int, MeterId] = Field(default_factory=dict)
    ct: Ratio = Fraction(1)
    vt: Ratio = Fraction(1)
    reversed: bool = False
    poll_s: float = 10.0

    @property
    def by_channel(self) -> Mapping[int, str]:
        """The meters in the device, by channel."""
        return dict(self.channels) if self.id is None else {1: self.id}

    @property
    def wiring(self) -> Wiring:
        """How it is connected."""
        return Wiring(ct=self.ct, vt=self.vt, is_reversed=self.reversed)


class GatewayWires(_Lenient):
    """A gateway file, as far as wires go."""

    park: ParkId
    gateway: GatewayId
    buses: Mapping[str, BusEntry]
    meters: tuple[MeterOnBus, ...]

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield meters on unknown buses, and unknown models."""
        for number, meter in enumerate(self.meters):
            if meter.bus not in self.buses:
                yield ("meters", number, "bus"), f"no bus {meter.bus!r}"
            try:
                find(meter.model)
            except EdgeError as error:
                yield ("meters", number, "model"), str(error)

    def below(self, folder: Path) -> Self:
        """Return the same with relative serial ports counted from a folder, as the gateway counts them."""
        buses = {
            name: bus if bus.serial is None else bus.model_copy(update={"serial": str(folder / bus.serial)})
            for name, bus in self.buses.items()
        }
        return self.model_copy(update={"buses": buses})

    @property
    def meter_ids(self) -> tuple[str, ...]:
        """All measuring points of the gateway."""
        return tuple(one for meter in self.meters for one in meter.by_channel.values())


class LoadEntry(Model):
    """What flows through a meter: the sum of other meters, and what is its own besides.

    A consumer has a yearly amount and the shape of a standard load profile or of a water district; a PV plant
    has a peak, and its rate is negative (export).
    """

    sum: tuple[MeterId, ...] = ()
    profile: str | None = None
    kwh_per_year: float = Field(default=0, ge=0)
    pv_kwp: float = Field(default=0, ge=0)
    district: int | None = Field(default=None, ge=1, le=10)
    m3_per_year: float = Field(default=0, ge=0)
    start: float | None = Field(default=None, ge=0, description="Counter at the origin, in kWh or m3")


class SimulatedPark(Model):
    """A file that describes a simulated park."""

    park: ParkId
    timezone: str
    gateways: tuple[Path, ...] = Field(min_length=1, description="Gateway files, relative to this file")
    loads: Mapping[MeterId, LoadEntry]

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield sums of meters that have no load, and sums that contain themselves."""
        for meter, entry in self.loads.items():
            for part in entry.sum:
                if part not in self.loads:
                    yield ("loads", meter, "sum"), f"{part!r} has no load"
            if self._reaches(meter, entry.sum, set()):
                yield ("loads", meter, "sum"), f"{meter!r} is a part of itself"

    def _reaches(self, meter: str, parts: tuple[str, ...], seen: set[str]) -> bool:
        for part in parts:
            if part == meter:
                return True
            if part in self.loads and part not in seen:
                seen.add(part)
                if self._reaches(meter, self.loads[part].sum, seen):
                    return True
        return False

    def below(self, folder: Path) -> Self:
        """Return the same with paths counted from a folder."""
        return self.model_copy(update={"gateways": tuple(folder / path for path in self.gateways)})


@dataclass(frozen=True, slots=True)
class Wires:
    """A simulated park with its gateways."""

    park: str
    timezone: ZoneInfo
    loads: Mapping[str, LoadEntry]
    gateways: tuple[GatewayWires, ...]

    def gateway(self, name: str) -> GatewayWires:
        """Return one gateway.

        Raises:
            KeyError: when there is none of that name.
        """
        return {one.gateway: one for one in self.gateways}[name]


def load_wires(path: Path) -> Wires:
    """Read a simulated park.

    Raises:
        ConfigError: with every problem found, also meters without a load.
    """
    described = load(path, SimulatedPark).below(path.parent)
    gateways = tuple(load(gateway, GatewayWires).below(gateway.parent) for gateway in described.gateways)
    problems = [
        Problem(str(path), 0, 0, f"meter {meter!r} of {gateway.gateway} has no load")
        for gateway in gateways
        for meter in gateway.meter_ids
        if meter not in described.loads
    ]
    if problems:
        raise ConfigError(problems)
    return Wires(described.park, ZoneInfo(described.timezone), described.loads, gateways)
