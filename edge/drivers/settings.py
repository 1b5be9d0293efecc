"""What a driver is told of a bus and of the devices on it: frozen types that `edge.config` makes. Pure."""

from dataclasses import dataclass
from pathlib import Path

from edge.drivers.line_timing import LineTiming
from edge.drivers.meter_model import MeterModel
from edge.drivers.wiring import Wiring

DEFAULT_BAUD = 9600
DEFAULT_PARITY = "E"
DEFAULT_STOP_BITS = 1
_DIRECT = Wiring()

#: Who is asked on a line: a number or a text, as the protocol has it; empty if the line has one device alone.
DeviceAddress = int | str


@dataclass(frozen=True, slots=True)
class Tcp:
    """Modbus TCP."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Serial:
    """Modbus RTU on a serial port.

    Attributes:
        path: Device file.
        baud: Bits per second.
        parity: `N`, `E` or `O`.
        stop_bits: 1 or 2.
    """

    path: Path
    baud: int = DEFAULT_BAUD
    parity: str = DEFAULT_PARITY
    stop_bits: int = DEFAULT_STOP_BITS

    def __str__(self) -> str:
        return f"serial {self.path}, {self.baud} 8{self.parity}{self.stop_bits}"


@dataclass(frozen=True, slots=True)
class RtuOverTcp:
    """Modbus RTU frames through a converter; the line behind it is described for timing only."""

    host: str
    port: int
    baud: int = DEFAULT_BAUD
    parity: str = DEFAULT_PARITY
    stop_bits: int = DEFAULT_STOP_BITS

    def __str__(self) -> str:
        return f"rtu over tcp {self.host}:{self.port}, {self.baud} 8{self.parity}{self.stop_bits}"


Transport = Tcp | Serial | RtuOverTcp


@dataclass(frozen=True, slots=True)
class BusConfig:
    """One physical line.

    Attributes:
        name: Key in the file.
        transport: How it is reached.
        timeout_s: Longest wait for an answer to begin and end, its transmission time not counted.
        late_window_s: RTU: how long after a timeout the same unit is left alone.
        pause_s: Least silence before a request; the prescribed silence counts where it is longer.
    """

    name: str
    transport: Transport
    timeout_s: float = 1.0
    late_window_s: float = 3.0
    pause_s: float = 0.0

    @property
    def is_rtu(self) -> bool:
        """Whether frames carry no transaction id, so that a late answer looks like the next one."""
        return not isinstance(self.transport, Tcp)

    @property
    def is_network(self) -> bool:
        """Whether a connection can be dead without showing it."""
        return not isinstance(self.transport, Serial)

    @property
    def timing(self) -> LineTiming:
        """How long a character and the silence between frames take here."""
        way = self.transport
        if isinstance(way, Tcp):
            return LineTiming.network()
        latency_s = 0.0 if isinstance(way, Serial) else LineTiming.network().latency_s
        return LineTiming.serial(
            baud=way.baud, parity=way.parity, stop_bits=way.stop_bits, latency_s=latency_s
        )


@dataclass(frozen=True, slots=True)
class Point:
    """A measuring point: a meter id and the channel of the device that measures it."""

    meter: str
    channel: int = 1


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One device on a bus; it is polled as a whole and gives one row per point.

    Attributes:
        bus: Name of its bus.
        address: Who is asked on the bus; no two devices of a bus have the same.
        profile: Its model, with overrides applied.
        points: What it measures.
        poll_s: Seconds between polls.
        wiring: Transformers and direction.
    """

    bus: str
    address: DeviceAddress
    profile: MeterModel
    points: tuple[Point, ...]
    poll_s: float = 10.0
    wiring: Wiring = _DIRECT

    @property
    def name(self) -> str:
        """What people call it: the ids of its meters."""
        return " + ".join(point.meter for point in self.points)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return place(self.bus, self.address)


def place(bus: str, address: DeviceAddress) -> str:
    """Return where a device is, for people."""
    return f"address {address} on {bus}" if address != "" else f"the device on {bus}"
