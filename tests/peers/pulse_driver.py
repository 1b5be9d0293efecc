"""A second driver, for `tests.peers.pulse_counter`: proves that `edge.drivers.contract` is not Modbus in disguise.

Its framing is ASCII, its line owns a task that receives, its device is never asked and has neither registers nor
an address.
"""

import asyncio
import os
import re
import termios
import time
import tty
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from edge.drivers.contract import Driver, LineTime, MonotonicNs, Poll, Shown
from edge.drivers.counts import Counts
from edge.drivers.meter_model import ModelStatus, Plausible
from edge.drivers.missing import Missing
from edge.drivers.polled import Polled
from edge.drivers.settings import BusConfig, DeviceAddress, DeviceConfig, Point, Serial
from edge.errors import GarbledAnswer, LineDown, NoAnswer
from metering.messages.birth import CounterFacts, MeterFacts
from metering.quantities import Medium

PROTOCOL = "pulse"
_QUANTITY = "volume_l"
_TELEGRAM = re.compile(rb"#(\d{10});([0-9A-F]{2})\r\n")
_TELEGRAM_BYTES = 16


@dataclass(frozen=True, slots=True)
class PulseColumn:
    """The one quantity."""

    quantity: str = _QUANTITY
    is_counter: bool = True


@dataclass(frozen=True, slots=True)
class PulseModel:
    """A water meter with a pulse output.

    Attributes:
        litres: Litres per pulse.
    """

    litres: int
    model: str = "test-pulse-counter"
    protocol: str = PROTOCOL
    medium: Medium = Medium.WATER
    hash: str = "0" * 8
    status: ModelStatus = ModelStatus.VERIFIED
    channels: int = 1
    plausible: tuple[Plausible, ...] = ()

    def channel(self, number: int = 1) -> Sequence[PulseColumn]:
        """Return the quantities of the one channel."""
        if number != 1:
            raise ValueError(f"{self.model} has channel 1 alone, not {number}")
        return (PulseColumn(),)


@dataclass(frozen=True, slots=True)
class _Telegram:
    raw: bytes
    count: int
    at_ns: int


class PulseLine:
    """A port that receives by itself while it is open."""

    def __init__(self, bus: BusConfig) -> None:
        assert isinstance(bus.transport, Serial)
        self._path = bus.transport.path
        self._timeout_s = bus.timeout_s
        self._maybe_transport: asyncio.ReadTransport | None = None
        self._maybe_receiving: asyncio.Task[None] | None = None
        self._maybe_newest: _Telegram | None = None
        self._garbage = 0
        self._has_news = asyncio.Event()
        self.answered_at_s = self.heard_at_s = float("-inf")
        self.was_closed_idle = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def allowed_at_s(self, address: DeviceAddress) -> float:
        """Return an instant in the past: nobody is asked."""
        del address
        return float("-inf")

    async def connect(self) -> None:
        """Open the port anew, and receive from now on."""
        self._close()
        reader = asyncio.StreamReader()
        try:
            end = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            tty.setraw(end)
        except (OSError, termios.error) as error:
            raise LineDown(f"{self._path}: {error}") from error
        self._maybe_transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(end, "rb", buffering=0)
        )
        self._maybe_receiving = asyncio.create_task(self._receive(reader))

    async def take(self) -> _Telegram:
        """Return the newest telegram that was not taken yet; wait for one if need be."""
        self._garbage = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await self._has_news.wait()
        maybe_newest, self._maybe_newest = self._maybe_newest, None
        if maybe_newest is not None:
            self._has_news.clear()
            self.answered_at_s = time.monotonic()
            return maybe_newest
        if self._maybe_receiving is None or self._maybe_receiving.done():
            raise LineDown(f"{self._path}: the port is gone")
        if self._garbage:
            raise GarbledAnswer(f"{self._garbage} bytes that are no telegram")
        raise NoAnswer(f"no telegram for {self._timeout_s:g} s")

    def _close(self) -> None:
        if self._maybe_receiving is not None:
            self._maybe_receiving.cancel()
        if self._maybe_transport is not None:
            self._maybe_transport.close()
        self._maybe_receiving = self._maybe_transport = self._maybe_newest = None
        self._has_news.clear()

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):  # a port that vanishes
            while raw := await reader.readline():
                self.heard_at_s = time.monotonic()
                self._note(raw)
        self._has_news.set()

    def _note(self, raw: bytes) -> None:
        found = _TELEGRAM.fullmatch(raw)
        if found is None or sum(found[1]) % 256 != int(found[2], 16):
            self._garbage += len(raw)
            return
        self._maybe_newest = _Telegram(raw, int(found[1]), time.monotonic_ns())
        self._has_news.set()


class PulseDevice:
    """A counter; nothing can be learnt of it but its count."""

    def __init__(self, config: DeviceConfig) -> None:
        assert isinstance(config.profile, PulseModel)
        self.config = config
        self._model = config.profile
        self.is_introduced = False
        self.is_confirmed = True
        self.maybe_mismatch: str | None = None
        self.missing: tuple[Missing, ...] = ()

    def facts(self) -> Mapping[str, MeterFacts]:
        """Return what is known of the meter."""
        counters = {_QUANTITY: CounterFacts(step=self._model.litres, modulus=1e10 * self._model.litres)}
        facts = MeterFacts(
            self._model.model, self._model.hash, self._model.medium, self.config.poll_s, counters=counters
        )
        return {point.meter: facts for point in self.config.points}

    def take_counts(self) -> Counts:
        """Return nothing: there are no requests."""
        return Counts()

    def forget(self) -> None:
        """Wait for an introduction."""
        self.is_introduced = False

    async def introduce(self, line: PulseLine, *, is_probe: bool) -> None:
        """Ask nothing: a telegram tells no more than the count."""
        del line, is_probe
        self.is_introduced = True

    async def poll(self, line: PulseLine) -> Poll:
        """Return the newest count."""
        telegram = await line.take()
        value = telegram.count * self._model.litres
        return Poll(
            tuple(
                Polled(point.meter, self._model.medium, (_QUANTITY,), (value,), 0, telegram.at_ns)
                for point in self.config.points
            )
        )


class PulseInspection:
    """A counter, waited for by hand."""

    def __init__(self, config: DeviceConfig) -> None:
        assert isinstance(config.profile, PulseModel)
        self._litres = config.profile.litres
        self._maybe_telegram: _Telegram | None = None
        self.requests = 0
        self.asked_at_s = time.monotonic()
        self.maybe_serial: str | None = None
        self.maybe_mismatch: str | None = None
        self.missing: tuple[Missing, ...] = ()

    async def run(self, line: PulseLine) -> None:
        """Wait for a telegram."""
        self._maybe_telegram = await line.take()

    def shown(self, point: Point) -> Sequence[Shown]:
        """Return the count."""
        del point
        if self._maybe_telegram is None:
            return (Shown(_QUANTITY, None, "l", "", "no answer"),)
        raw = self._maybe_telegram.raw.decode().strip()
        return (Shown(_QUANTITY, self._maybe_telegram.count * self._litres, "l", raw, ""),)


class PulseDriver:
    """Receives telegrams of pulse counters."""

    def open_line(self, bus: BusConfig, on_late: Callable[[DeviceAddress], None]) -> PulseLine:
        """Return a line; no answer can be late where nothing is asked."""
        del on_late
        return PulseLine(bus)

    def device(self, settings: DeviceConfig, bus: BusConfig, clock: MonotonicNs) -> PulseDevice:
        """Return a device."""
        del bus, clock
        return PulseDevice(settings)

    def inspection(self, settings: DeviceConfig, bus: BusConfig, clock: MonotonicNs) -> PulseInspection:
        """Return what waits for a telegram by hand."""
        del bus, clock
        return PulseInspection(settings)

    def line_time(self, settings: DeviceConfig, bus: BusConfig) -> LineTime:
        """Return how long one telegram takes."""
        del settings
        return LineTime(requests=0, seconds=_TELEGRAM_BYTES * bus.timing.char_s)


#: Held to the contract by the type checker.
DRIVER: Driver[PulseLine] = PulseDriver()
