"""The form of gateway.yaml; `edge.config.gateway` turns it into what the programs use.

The file says where and how to read: broker, buses and, per meter, model, bus, address and id. What a model's
registers mean stands in the catalogue (`edge.catalogue.models`); any quantity of a meter can be overridden
here.
"""

import os
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from edge.catalogue import models as catalogue
from edge.catalogue.tables import RegisterPatch
from edge.drivers.modbus.profile import Profile
from edge.drivers.transformers import TransformerRatio
from edge.errors import UnknownModel
from metering.errors import ConfigError
from metering.names import GATEWAY_ID_PATTERN, METER_ID_PATTERN, PARK_ID_PATTERN
from metering.program.addresses import Address, parse_address
from metering.program.config import Location, Model, NotKnown, did_you_mean, while_known
from metering.program.connection import Broker, HttpAddress
from metering.program.mistakes import shown

_RATIO_PATTERN = r"^[0-9.]+(/[0-9.]+)?$"
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}")
_TCP_PATTERN = r"^([^:]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?$"
_CONVERTER_PATTERN = r"^([^:]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$"
#: MODBUS Messaging on TCP/IP V1.0b, 4.2.1.
_MODBUS_PORT = 502
_LAST_SERIAL_ADDRESS = 247
#: Unit id of a device that is on the network itself (MODBUS Messaging on TCP/IP V1.0b, 4.4.2.1).
_DIRECT_TCP_ADDRESS = 255

_ONE_LINE = "one line is one bus, with all its meters"

MeterId = Annotated[str, Field(pattern=METER_ID_PATTERN, description="Unique in the park")]


def _parse_ratio(written: object) -> object:
    """Read `250/5` or `50` as an exact fraction.

    Raises:
        ValueError: when it is no ratio, or when the sides of a transformer are exchanged.
    """
    if isinstance(written, Fraction):
        return written
    primary, slash, secondary = str(written).replace(" ", "").partition("/")
    if not all(_NUMBER.fullmatch(one) for one in (primary, *([secondary] if slash else []))):
        raise ValueError(f"{shown(written)} is not a ratio such as 250/5")
    try:
        maybe_secondary = Fraction(secondary) if slash else None
        ratio = TransformerRatio(Fraction(primary), maybe_secondary)
    except ZeroDivisionError:
        raise ValueError(f"{shown(written)} is not a ratio such as 250/5") from None
    if ratio <= 0:
        raise ValueError(f"ratio {shown(written)} is not positive")
    if slash and ratio < 1:
        raise ValueError(
            f"{written!r} has its sides exchanged: the primary comes first, {secondary}/{primary};"
            " a factor below 1 that is meant is written as one number"
        )
    return ratio


Ratio = Annotated[
    Fraction,
    BeforeValidator(_parse_ratio),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _RATIO_PATTERN}, {"type": "number"}]}),
]


#: A device or gateway of Modbus TCP: `host` or `host:port`.
TcpAddress = Annotated[
    Address,
    BeforeValidator(partial(parse_address, maybe_port=_MODBUS_PORT)),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _TCP_PATTERN}),
]
#: A serial converter: `host:port`; there is no usual port.
ConverterAddress = Annotated[
    Address,
    BeforeValidator(parse_address),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _CONVERTER_PATTERN}),
]


class BusFile(Model):
    """One physical line: exactly one of `tcp`, `serial` and `rtu_over_tcp`."""

    tcp: TcpAddress | None = Field(
        default=None, description="Modbus TCP device or gateway: host or host:port, default port 502"
    )
    serial: Path | None = Field(default=None, description="Device file, best below /dev/serial/by-id")
    rtu_over_tcp: ConverterAddress | None = Field(
        default=None, description="host:port of a serial converter that passes RTU frames on"
    )
    baud: int | None = Field(default=None, ge=300, le=921600, description="Serial lines: default 9600")
    parity: Literal["N", "E", "O"] | None = Field(default=None, description="Serial lines: default E")
    stop_bits: Literal[1, 2] | None = Field(default=None, description="Serial lines: default 1")
    timeout_s: float = Field(default=1.0, gt=0, le=30, description="From the request's end to the answer's")
    late_window_s: float = Field(
        default=3.0, ge=0, le=60, description="RTU: a meter that did not answer is left alone for so long"
    )
    pause_ms: float = Field(
        default=0.0, ge=0, le=5000, description="Least silence before a request, where the line needs more"
    )

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield what does not fit together."""
        ways = [name for name in ("tcp", "serial", "rtu_over_tcp") if getattr(self, name) is not None]
        if len(ways) != 1:
            found = f", not {' and '.join(ways)}" if ways else ""
            yield (), f"a bus has exactly one of tcp, serial and rtu_over_tcp{found}"
        elif self.tcp is not None:
            for name in ("baud", "parity", "stop_bits"):
                if getattr(self, name) is not None:
                    yield (name,), f"{name} means nothing on tcp; for a serial converter use rtu_over_tcp"


class MeterFile(Model):
    """One device on a bus: a meter with an id, or several channels with an id each."""

    model: str = Field(description="Id or name in the catalogue: zonewise-edge profiles")
    bus: str = Field(description="Name of a bus")
    address: int = Field(ge=1, le=_DIRECT_TCP_ADDRESS, description="Modbus unit id, 1 to 247")
    id: MeterId | None = None
    channels: dict[int, MeterId] | None = Field(
        default=None, description="Channel number and id, for models with several"
    )
    poll_s: float = Field(default=10.0, ge=0.1, le=86400, description="Poll period in seconds")
    ct: Ratio = Field(default=Fraction(1), description="Current transformers, as on their plate: 250/5")
    vt: Ratio = Field(default=Fraction(1), description="Voltage transformers, as on their plate: 20000/100")
    reversed: bool = Field(
        default=False, description="Current flows the wrong way round: import is shown as export"
    )
    overrides: dict[str, RegisterPatch | None] = Field(
        default_factory=dict, description="Per quantity what differs from the catalogue; null leaves it out"
    )

    @property
    def patches(self) -> Mapping[str, RegisterPatch]:
        """Overrides in the catalogue's form."""
        if not all(patch is None or patch.knows() for patch in self.overrides.values()):
            raise NotKnown("overrides")
        return {name: patch or RegisterPatch(skip=True) for name, patch in self.overrides.items()}

    @property
    def ids(self) -> tuple[str, ...]:
        """The meter's id, or those of its channels."""
        return tuple((self.channels or {}).values()) if self.id is None else (self.id,)

    @property
    def name(self) -> str:
        """What people call it, as far as that is known."""
        ids = self.ids if self.knows("id", "channels") else ()
        return " and ".join(ids) or (self.model if self.knows("model") else "another meter")

    def load_profile(self) -> Profile:
        """Return the model with this meter's overrides.

        Raises:
            UnknownModel: with the nearest ids or names.
            ConfigError: when the overrides leave no complete table.
        """
        return catalogue.load_with(self.model, self.patches)

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield what does not fit the model."""
        yield from while_known(self._id_problems())
        yield from while_known(self._model_problems())

    def _id_problems(self) -> Iterator[tuple[Location, str]]:
        if (self.id is None) is (self.channels is None):
            yield (), "a meter has an id or channels, one of both"

    def _model_problems(self) -> Iterator[tuple[Location, str]]:
        try:
            profile = self.load_profile()
        except UnknownModel as error:
            yield ("model",), str(error)
        except ConfigError as error:
            yield from ((("overrides",), f"{self.model}: {one.message}") for one in error.problems)
        else:
            for rule in (self._channel_problems(profile), self._ratio_problems(profile)):
                yield from while_known(rule)
            if not profile.registers:
                yield ("overrides",), "the overrides leave nothing to read"

    def _channel_problems(self, profile: Profile) -> Iterator[tuple[Location, str]]:
        for number in self.channels or ():
            if not 1 <= number <= profile.channels:
                has = f"channels 1 to {profile.channels}" if profile.has_channels else "no channels"
                yield ("channels", number), f"{profile.model} has {has}, there is no {number}"
        if self.id is not None and profile.has_channels:
            yield (
                ("id",),
                f"{profile.model} has {profile.channels} channels: write channels: {{1: {self.id}}}",
            )

    def _ratio_problems(self, profile: Profile) -> Iterator[tuple[Location, str]]:
        for name in ("ct", "vt"):
            if self.knows(name) and getattr(self, name) != 1 and not profile.takes_ratios:
                yield (name,), f"{name} means nothing for a meter of {profile.medium}"


class OutboxFile(Model):
    """Where messages wait until ingest says that they are safe."""

    path: Path = Field(default=Path("/var/lib/zonewise/outbox.db"), description="SQLite file")
    durability: Literal["memory", "always"] = Field(
        default="memory", description="memory: to the disk on need; always: to the disk first"
    )
    max_mb: float = Field(default=500.0, gt=0, description="Above, the oldest messages are dropped")
    max_days: float = Field(default=30.0, gt=0, description="Above, the oldest messages are dropped")
    spill_after_s: float = Field(default=10.0, gt=0, description="Age in memory that goes to the disk")


class GatewayFile(Model):
    """gateway.yaml."""

    park: Annotated[str, Field(pattern=PARK_ID_PATTERN, description="Id of the park")]
    gateway: Annotated[str, Field(pattern=GATEWAY_ID_PATTERN, description="Id of this gateway in the park")]
    broker: Broker
    clock: Literal["ntp", "trusted"] = Field(
        default="ntp", description="ntp: rows wait until the clock is known; trusted: it is right"
    )
    http: HttpAddress = Field(
        default=Address("127.0.0.1", 9101), description="Local pages; port 0: a free one"
    )
    outbox: OutboxFile = OutboxFile()
    # Counted in `problems`: pydantic would call a list empty in which each item has a mistake.
    buses: dict[str, BusFile] = Field(
        description="Physical lines, by a name", json_schema_extra={"minProperties": 1}
    )
    meters: tuple[MeterFile, ...] = Field(
        description="Devices on the lines", json_schema_extra={"minItems": 1}
    )

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield what only the whole can tell."""
        for rule in (
            self._empty_parts(),
            self._bus_problems(),
            self._double_endpoints(),
            self._meter_problems(),
            self._double_ids(),
            self._double_addresses(),
        ):
            yield from while_known(rule)

    def problems_on(self, folder: Path) -> Iterator[tuple[Location, str]]:
        """Yield serial ports that are one and the same device, however they are written."""
        first: dict[str, str] = {}
        for name, bus in self.buses.items():
            if bus.knows("serial") and bus.serial is not None:
                before = first.setdefault(os.path.realpath(folder / bus.serial), name)
                if before != name:
                    yield ("buses", name, "serial"), f"bus {before!r} has the same serial port; {_ONE_LINE}"

    def _empty_parts(self) -> Iterator[tuple[Location, str]]:
        for key in ("buses", "meters"):
            if self.knows(key) and not getattr(self, key):
                yield (key,), f"there are no {key}"

    def _bus_problems(self) -> Iterator[tuple[Location, str]]:
        for name, bus in self.buses.items():
            yield from ((("buses", name, *where), text) for where, text in while_known(bus.problems()))

    def _double_endpoints(self) -> Iterator[tuple[Location, str]]:
        """Two buses to one host and port: a device answers one of them, or mixes the answers up."""
        first: dict[tuple[str, int], str] = {}
        for name, bus in self.buses.items():
            for key in ("tcp", "rtu_over_tcp"):
                maybe_end = getattr(bus, key) if bus.knows(key) else None
                if maybe_end is not None:
                    end = (maybe_end.host.lower().rstrip("."), maybe_end.port)
                    before = first.setdefault(end, name)
                    if before != name:
                        text = f"bus {before!r} goes to {maybe_end} already; {_ONE_LINE}"
                        yield ("buses", name, key), text

    def _meter_problems(self) -> Iterator[tuple[Location, str]]:
        for place, meter in enumerate(self.meters):
            for rule in (meter.problems(), self._place_problems(meter)):
                yield from ((("meters", place, *where), text) for where, text in while_known(rule))

    def _place_problems(self, meter: MeterFile) -> Iterator[tuple[Location, str]]:
        maybe_bus = self.buses.get(meter.bus)
        if maybe_bus is None:
            yield ("bus",), f"unknown bus {meter.bus!r}{did_you_mean(meter.bus, self.buses)}"
        elif meter.address > _LAST_SERIAL_ADDRESS and not (
            maybe_bus.tcp and meter.address == _DIRECT_TCP_ADDRESS
        ):
            yield ("address",), f"address {meter.address} is not 1 to 247 (or 255 for a device on tcp)"

    def _double_ids(self) -> Iterator[tuple[Location, str]]:
        first: dict[str, int] = {}
        for place, meter in enumerate(self.meters):
            if not meter.knows("id", "channels"):
                continue
            for one in meter.ids:
                if one in first:
                    key = "channels" if meter.id is None else "id"
                    yield ("meters", place, key), f"meter id {one!r} stands twice"
                first.setdefault(one, place)

    def _double_addresses(self) -> Iterator[tuple[Location, str]]:
        first: dict[tuple[str, int], int] = {}
        for place, meter in enumerate(self.meters):
            if not meter.knows("bus", "address"):
                continue
            before = first.setdefault((meter.bus, meter.address), place)
            if before != place:
                text = f"address {meter.address} on {meter.bus} is already that of {self.meters[before].name}"
                yield ("meters", place, "address"), text
