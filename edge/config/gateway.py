"""gateway.yaml, parsed once into frozen types without touching the network.

`load_config` reads the file, checks it as a whole (every problem with file, line and column), applies the
catalogue and makes relative paths absolute, counted from the file's folder. What exists is valid: each
device's bus exists, each channel is one of its model's, no id and no address stands twice.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge.config.gateway_file import BusFile, GatewayFile, MeterFile, OutboxFile
from edge.drivers.settings import (
    DEFAULT_BAUD,
    DEFAULT_PARITY,
    DEFAULT_STOP_BITS,
    BusConfig,
    DeviceConfig,
    Point,
    RtuOverTcp,
    Serial,
    Tcp,
    Transport,
)
from edge.drivers.wiring import Wiring
from metering.program.addresses import Address
from metering.program.config import load
from metering.program.connection import Broker


class ClockSource(StrEnum):
    """Whether the system's clock is checked before rows are stamped."""

    NTP = "ntp"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class OutboxConfig:
    """Where messages wait; see `edge.outbox.outbox`.

    Attributes:
        path: The SQLite file.
        always: Whether a message goes to the disk before anything else.
        max_mb: Megabytes (10^6 bytes) on disk.
        max_days: Age at which messages are dropped.
        spill_after_s: Age in memory at which messages go to the disk.
    """

    path: Path
    always: bool = False
    max_mb: float = 500.0
    max_days: float = 30.0
    spill_after_s: float = 10.0


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """All of gateway.yaml.

    Attributes:
        warnings: What is allowed but most likely not meant.
    """

    park: str
    gateway: str
    broker: Broker
    clock: ClockSource
    http: Address
    outbox: OutboxConfig
    buses: tuple[BusConfig, ...]
    devices: tuple[DeviceConfig, ...]
    warnings: tuple[str, ...] = ()

    @property
    def meters(self) -> tuple[str, ...]:
        """Ids of all meters."""
        return tuple(point.meter for device in self.devices for point in device.points)

    def bus(self, name: str) -> BusConfig:
        """Return a bus by its name.

        Raises:
            KeyError: when there is none.
        """
        return {bus.name: bus for bus in self.buses}[name]

    def devices_on(self, bus: str) -> tuple[DeviceConfig, ...]:
        """Return the devices of a bus, in the file's order."""
        return tuple(device for device in self.devices if device.bus == bus)

    def maybe_device_of(self, meter: str) -> DeviceConfig | None:
        """Return the device that measures a point."""
        found = (d for d in self.devices if any(point.meter == meter for point in d.points))
        return next(found, None)


def load_config(path: Path) -> GatewayConfig:
    """Read gateway.yaml.

    Raises:
        ConfigError: with every problem found.
    """
    file = load(path, GatewayFile)
    folder = path.absolute().parent
    return GatewayConfig(
        park=file.park,
        gateway=file.gateway,
        broker=file.broker.below(folder),
        clock=ClockSource(file.clock),
        http=file.http,
        outbox=_outbox(file.outbox, folder),
        buses=tuple(_bus(name, bus, folder) for name, bus in file.buses.items()),
        devices=tuple(_device(meter) for meter in file.meters),
        warnings=tuple(_warnings(file)),
    )


def _outbox(file: OutboxFile, folder: Path) -> OutboxConfig:
    return OutboxConfig(
        path=folder / file.path,
        always=file.durability == "always",
        max_mb=file.max_mb,
        max_days=file.max_days,
        spill_after_s=file.spill_after_s,
    )


def _bus(name: str, file: BusFile, folder: Path) -> BusConfig:
    return BusConfig(
        name=name,
        transport=_transport(file, folder),
        timeout_s=file.timeout_s,
        late_window_s=file.late_window_s,
        pause_s=file.pause_ms / 1000,
    )


def _transport(file: BusFile, folder: Path) -> Transport:
    if file.tcp is not None:
        return Tcp(file.tcp.host, file.tcp.port)
    baud, parity = file.baud or DEFAULT_BAUD, file.parity or DEFAULT_PARITY
    stop_bits = file.stop_bits or DEFAULT_STOP_BITS
    if file.serial is not None:
        return Serial(folder / file.serial, baud, parity, stop_bits)
    if file.rtu_over_tcp is None:  # unreachable: `BusFile.problems` has refused it
        raise ValueError("a bus without a way to it")
    return RtuOverTcp(file.rtu_over_tcp.host, file.rtu_over_tcp.port, baud, parity, stop_bits)


def _device(file: MeterFile) -> DeviceConfig:
    points = {1: file.id} if file.id is not None else file.channels or {}
    return DeviceConfig(
        bus=file.bus,
        address=file.address,
        profile=file.load_profile(),
        points=tuple(Point(meter, channel) for channel, meter in points.items()),
        poll_s=file.poll_s,
        wiring=Wiring(ct=file.ct, vt=file.vt, is_reversed=file.reversed),
    )


def _warnings(file: GatewayFile) -> list[str]:
    used = {meter.bus for meter in file.meters}
    return [f"bus {name!r} has no meters" for name in file.buses if name not in used]
