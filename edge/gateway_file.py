"""The form of gateway.yaml; `edge.config` turns it into what the programs use.

The file says where and how to read: broker, buses and, per meter, model, bus, address and id. What a model's
registers mean stands in the catalogue (`edge.catalogue`); any quantity of a meter can be overridden here.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from edge import catalogue
from edge.errors import UnknownModel
from edge.profile import Profile
from edge.tables import RegisterPatch
from edge.transformers import TransformerRatio
from metering.config import Location, Model, did_you_mean
from metering.connection import Broker, HttpAddress
from metering.errors import ConfigError
from metering.local_http import Address
from metering.names import GATEWAY_ID_PATTERN, METER_ID_PATTERN, PARK_ID_PATTERN

_RATIO_PATTERN = r"^[0-9.]+(/[0-9.]+)?$"
_LAST_SERIAL_ADDRESS = 247
#: Unit id of a device that is on the network itself (MODBUS Messaging on TCP/IP V1.0b, 4.4.2.1).
_DIRECT_TCP_ADDRESS = 255

MeterId = Annotated[str, Field(pattern=METER_ID_PATTERN, description="Unique in the park")]


def _parse_ratio(written: object) -> object:
    """Read `250/5` or `50` as an exact fraction."""
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        return written
    primary, _, secondary = str(written).partition("/")
    try:
        maybe_secondary = Fraction(Decimal(secondary.strip())) if secondary.strip() else None
        ratio = TransformerRatio(Fraction(Decimal(primary.strip())), maybe_secondary)
    except (ArithmeticError, ValueError):
        raise ValueError(f"{written!r} is not a ratio such as 250/5") from None
    if ratio <= 0:
        raise ValueError(f"ratio {written!r} is not positive")
    return ratio


Ratio = Annotated[
    Fraction,
    BeforeValidator(_parse_ratio),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _RATIO_PATTERN}, {"type": "number"}]}),
]


class BusFile(Model):
    """One physical line: exactly one of `tcp`, `serial` and `rtu_over_tcp`."""

    tcp: HttpAddress | None = Field(default=None, description="host:port of a Modbus TCP device or gateway")
    serial: Path | None = Field(default=None, description="Device file, best below /dev/serial/by-id")
    rtu_over_tcp: HttpAddress | None = Field(
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
        return {name: patch or RegisterPatch(skip=True) for name, patch in self.overrides.items()}

    @property
    def ids(self) -> tuple[str, ...]:
        """The meter's id, or those of its channels."""
        return tuple((self.channels or {}).values()) if self.id is None else (self.id,)

    def load_profile(self) -> Profile:
        """Give the model with this meter's overrides.

        Raises:
            UnknownModel: with the nearest ids or names.
            ConfigError: when the overrides leave no complete table.
        """
        return catalogue.load_with(self.model, self.patches)

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield what does not fit the model."""
        if (self.id is None) is (self.channels is None):
            yield (), "a meter has an id or channels, one of both"
        try:
            profile = self.load_profile()
        except UnknownModel as error:
            yield ("model",), str(error)
        except ConfigError as error:
            yield from ((("overrides",), f"{self.model}: {one.message}") for one in error.problems)
        else:
            yield from self._profile_problems(profile)

    def _profile_problems(self, profile: Profile) -> Iterator[tuple[Location, str]]:
        for number in self.channels or ():
            if not 1 <= number <= profile.channels:
                has = f"channels 1 to {profile.channels}" if profile.has_channels else "no channels"
                yield ("channels", number), f"{profile.model} has {has}, there is no {number}"
        if self.id is not None and profile.has_channels:
            yield (
                ("id",),
                f"{profile.model} has {profile.channels} channels: write channels: {{1: {self.id}}}",
            )
        if not profile.registers:
            yield ("overrides",), "the overrides leave nothing to read"
        for name in ("ct", "vt"):
            if getattr(self, name) != 1 and not profile.takes_ratios:
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
        for key in ("buses", "meters"):
            if not getattr(self, key):
                yield (key,), f"there are no {key}"
        for name, bus in self.buses.items():
            yield from ((("buses", name, *where), text) for where, text in bus.problems())
        for place, meter in enumerate(self.meters):
            for where, text in (*meter.problems(), *self._bus_problems(meter)):
                yield ("meters", place, *where), text
        yield from self._double_ids()
        yield from self._double_addresses()

    def _bus_problems(self, meter: MeterFile) -> Iterator[tuple[Location, str]]:
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
            for one in meter.ids:
                if one in first:
                    key = "channels" if meter.id is None else "id"
                    yield ("meters", place, key), f"meter id {one!r} stands twice"
                first.setdefault(one, place)

    def _double_addresses(self) -> Iterator[tuple[Location, str]]:
        first: dict[tuple[str, int], str] = {}
        for place, meter in enumerate(self.meters):
            who = " and ".join(meter.ids) or meter.model
            before = first.setdefault((meter.bus, meter.address), who)
            if before is not who:
                text = f"address {meter.address} on {meter.bus} is already that of {before}"
                yield ("meters", place, "address"), text
