"""What a driver is told of a bus and of the devices on it: frozen types that `edge.config` makes. Pure."""

from dataclasses import dataclass
from pathlib import Path

from edge.drivers.modbus.decode import Wiring
from edge.drivers.modbus.plan import Line
from edge.drivers.modbus.profile import Profile

DEFAULT_BAUD = 9600
DEFAULT_PARITY = "E"
DEFAULT_STOP_BITS = 1
_DIRECT = Wiring()


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
    def line(self) -> Line:
        """What a request costs here."""
        way = self.transport
        if isinstance(way, Tcp):
            return Line.network()
        latency_s = 0.0 if isinstance(way, Serial) else Line.network().latency_s
        return Line.serial(baud=way.baud, parity=way.parity, stop_bits=way.stop_bits, latency_s=latency_s)


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
        unit: Modbus unit id.
        profile: Its model, with overrides applied.
        points: What it measures.
        poll_s: Seconds between polls.
        wiring: Transformers and direction.
    """

    bus: str
    unit: int
    profile: Profile
    points: tuple[Point, ...]
    poll_s: float = 10.0
    wiring: Wiring = _DIRECT

    @property
    def name(self) -> str:
        """What people call it: the ids of its meters."""
        return " + ".join(point.meter for point in self.points)
