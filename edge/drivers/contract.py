"""What polling and commissioning know of a protocol: a driver, its open line, and the devices on it.

Contract:
- A driver opens a line and makes devices. One task uses a line and its devices, one call at a time; a line
  may have tasks of its own, which end with it.
- Errors are those of `edge.errors`. `LineDown`: nobody on the line can be asked, it is to be connected again.
  `NoAnswer` and `GarbledAnswer`: this device. `MeterRefused`: it answered that it does not give something; a
  protocol without refusals never raises it.
- A protocol may ask (Modbus, M-Bus) or only receive what devices send by themselves (P1, SML, pulses). A
  device that sends is polled like any other: `poll` returns the newest telegram that was not returned yet,
  waits for one at most `timeout_s`, and raises `NoAnswer` if none comes. A row carries its instant.
- `answered_at_s` is the instant at which `introduce` or `poll` last got something of a device, so that the
  poller sees after each turn whether the line works; for a pushed protocol that is when a telegram was taken.
- A driver holds no state between lines that it opened.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from edge.drivers.counts import Counts
from edge.drivers.missing import Missing
from edge.drivers.polled import Polled
from edge.drivers.settings import BusConfig, DeviceAddress, DeviceConfig, Point
from edge.errors import BusError
from metering.messages.birth import MeterFacts
from metering.readings import Value


class MonotonicNs(Protocol):
    """What a device needs of a clock."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since some instant."""


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll gave.

    Attributes:
        rows: One per point, or none when nothing was answered.
        maybe_error: What ended it early.
    """

    rows: tuple[Polled, ...]
    maybe_error: BusError | None = None


class DriverLine(Protocol):
    """An open line."""

    async def connect(self) -> None:
        """Open it anew; one try.

        Raises:
            LineDown: with the reason.
        """

    def allowed_at_s(self, address: DeviceAddress) -> float:
        """Return the monotonic instant before which a device must not be asked."""

    @property
    def answered_at_s(self) -> float:
        """Monotonic instant at which something of a device was last taken."""

    @property
    def heard_at_s(self) -> float:
        """Monotonic instant of the last byte that came."""

    @property
    def was_closed_idle(self) -> bool:
        """Whether the peer closed a connection that worked, long after the last answer."""


L = TypeVar("L", bound=DriverLine)
L_contra = TypeVar("L_contra", bound=DriverLine, contravariant=True)

#: Opens a bus for as long as the block runs; `on_late` is called with the address of each late answer.
OpenLine = Callable[[BusConfig, Callable[[DeviceAddress], None]], AbstractAsyncContextManager[L]]


class Device(Protocol[L_contra]):
    """A device and what is known of it now."""

    @property
    def config(self) -> DeviceConfig:
        """Its settings."""

    @property
    def is_introduced(self) -> bool:
        """Whether it may be polled; False also where the introduction is to be taken up again."""

    @property
    def is_confirmed(self) -> bool:
        """Whether it named the expected model since the last connect or silence; True if it cannot."""

    @property
    def maybe_mismatch(self) -> str | None:
        """Name of the model that it says it is, where that is another one."""

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What it does not give at present."""

    def facts(self) -> Mapping[str, MeterFacts]:
        """Return what is known of each meter, for the birth."""

    def take_counts(self) -> Counts:
        """Return what was refused or not answered, without ending a poll, since the last call."""

    def forget(self) -> None:
        """Ask for an introduction before the next poll: it may have been changed for another."""

    async def introduce(self, line: L_contra, *, is_probe: bool) -> None:
        """Learn who it is.

        Args:
            line: Its line.
            is_probe: Ask at least one thing, to see whether it is there.

        Raises:
            BusError: when it does not answer.
            ImplausibleValue: when its set-up cannot be used.
        """

    async def poll(self, line: L_contra) -> Poll:
        """Return its values now, one row per meter.

        Raises:
            BusError: when there is nothing.
            DecodeError: when what came does not have the shape that it must have.
        """


@dataclass(frozen=True, slots=True)
class Shown:
    """One quantity, as a person commissioning the meter wants to see it.

    Attributes:
        quantity: Name, transformers turned round already considered.
        value: In its unit; `None` = not read or not believed.
        unit: Unit of the value.
        raw: As on the wire, as text; empty when not answered.
        remark: What is wrong with it, or nothing.
        maybe_usual: Whether it lies where a meter of this model has it; `None` = its table does not say.
    """

    quantity: str
    value: Value
    unit: str
    raw: str
    remark: str
    maybe_usual: bool | None = None


class Inspection(Protocol[L_contra]):
    """One device, read once by hand, with all that can be shown of it."""

    @property
    def requests(self) -> int:
        """How many requests were made; 0 where nothing is asked."""

    @property
    def asked_at_s(self) -> float:
        """Monotonic instant of the last request, or of the begin of waiting."""

    @property
    def maybe_serial(self) -> str | None:
        """Serial number, if it tells one."""

    @property
    def maybe_mismatch(self) -> str | None:
        """Name of the model that it says it is, where that is another one."""

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What it does not give."""

    async def run(self, line: L_contra) -> None:
        """Read it, whatever model it says it is.

        Raises:
            BusError: when nothing came.
        """

    def shown(self, point: Point) -> Sequence[Shown]:
        """Return each quantity of a point, in the order of the model's table."""


@dataclass(frozen=True, slots=True)
class LineTime:
    """What one poll of a device costs its line.

    Attributes:
        requests: Read requests; 0 where nothing is asked.
        seconds: How long the line is busy, pauses included.
    """

    requests: int
    seconds: float


class Driver(Protocol[L]):
    """One protocol."""

    def open_line(
        self, bus: BusConfig, on_late: Callable[[DeviceAddress], None]
    ) -> AbstractAsyncContextManager[L]:
        """Return a line that is closed when the block ends; it is not connected yet.

        Args:
            bus: Which line.
            on_late: Called with the address whenever an answer comes that nobody waits for any more.
        """

    def device(self, settings: DeviceConfig, bus: BusConfig, clock: MonotonicNs) -> Device[L]:
        """Return a device, without asking it anything."""

    def inspection(self, settings: DeviceConfig, bus: BusConfig, clock: MonotonicNs) -> Inspection[L]:
        """Return what reads a device by hand."""

    def line_time(self, settings: DeviceConfig, bus: BusConfig) -> LineTime:
        """Return what one poll costs, as far as it can be told before anything is connected."""
