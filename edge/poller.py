"""One worker per bus: opens the line, polls the devices in turn, hands their rows on.

Contract:
- Rows go to the sink in the event loop, as soon as a device was polled; the sink never blocks.
- A line that is down is opened again, with pauses that grow until a device has answered; nobody on it is
  blamed. A network line on which every device is silent is opened anew, since a dead connection shows no
  other sign; a serial one is not.
- A silent device is left to `edge.backoff`; the others keep their schedule. A device of the wrong model or
  with an unusable set-up gives no rows and is asked again now and then.
- A change of state is logged once, not at every poll.
- Clock, dice and line are arguments.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from edge.backoff import ProbeBudget, probe_pause_s, reconnect_pause_s
from edge.config import BusConfig, DeviceConfig
from edge.device import Device, Poll, Wire
from edge.errors import (
    BusError,
    DecodeError,
    GarbledAnswer,
    ImplausibleValue,
    LineDown,
    MeterRefused,
    NoAnswer,
)
from edge.health import GIVING_ROWS, BusState, Counts, DeviceState, Health
from edge.missing import Role
from edge.missing_log import MissingLog
from edge.polled import Polled
from edge.schedule import Schedule
from metering.birth import MeterFacts

_LOGGER = logging.getLogger(__name__)
#: How often a device that must not be polled is looked at again.
RECHECK_S = 300.0
# One silent device may be switched off; several in a row on a network mean the connection.
_SILENT_BEFORE_RECONNECT = 3


class PollerClock(Protocol):
    """The clocks that a poller lives by."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since some instant."""

    def wall_s(self) -> float:
        """Seconds since 1970, as far as the system knows."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemPollerClock:
    """The clocks of this machine."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since some instant."""
        return time.monotonic_ns()

    def wall_s(self) -> float:
        """Seconds since 1970, as far as the system knows."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class LineToPoll(Wire, Protocol):
    """What a poller needs of a bus (`edge.bus.Bus`)."""

    async def connect(self) -> None:
        """Open the line, or raise `LineDown`."""

    def quarantined_until_s(self, unit: int) -> float:
        """Monotonic instant before which the unit must not be asked."""


#: Opens a bus for as long as the block runs; `on_late` is called with the unit of each late answer.
OpenLine = Callable[[BusConfig, Callable[[int], None]], AbstractAsyncContextManager[LineToPoll]]


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a poller's findings go.

    Attributes:
        sink: Takes each row, without blocking.
        announce: Takes what became known of meters; called when it has changed.
        health: Takes notes.
    """

    sink: Callable[[Polled], None]
    announce: Callable[[Mapping[str, MeterFacts]], None]
    health: Health


class Poller:
    """Polls one bus until cancelled."""

    def __init__(
        self,
        bus: BusConfig,
        devices: Sequence[DeviceConfig],
        *,
        open_line: OpenLine,
        outlets: Outlets,
        clock: PollerClock | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._bus = bus
        self._clock = clock or SystemPollerClock()
        self._devices = [Device(config, bus, self._clock) for config in devices]
        self._missing_logs = [MissingLog(self._where(device)) for device in self._devices]
        self._open_line = open_line
        self._out = outlets
        self._dice = dice
        self._budget = ProbeBudget()
        self._failures = [0] * len(devices)
        self._silent_in_a_row = 0
        self._connects_in_vain = 0
        self._announced: dict[str, MeterFacts] = {}

    @property
    def facts(self) -> Mapping[str, MeterFacts]:
        """What is known of each meter on this bus, for the birth."""
        return {meter: facts for device in self._devices for meter, facts in device.facts().items()}

    async def run(self) -> None:
        """Poll until cancelled."""
        self._announced = dict(self.facts)
        if not self._devices:
            return
        async with self._open_line(self._bus, self._note_late) as line:
            while True:
                await self._connect(line)
                schedule = Schedule([d.config.poll_s for d in self._devices], now_s=self._now_s())
                for device in self._devices:
                    device.forget()
                try:
                    while True:
                        await self._take_turn(line, schedule)
                except LineDown as error:
                    self._note_line_down(error)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    async def _connect(self, line: LineToPoll) -> None:
        while True:
            # Some devices accept a connection and close it at once: only an answer ends the growing pauses.
            if self._connects_in_vain:
                await self._clock.sleep(reconnect_pause_s(self._connects_in_vain, jitter=self._dice()))
            self._connects_in_vain += 1
            try:
                await line.connect()
            except LineDown as error:
                self._note_line_down(error)
            else:
                break
        self._silent_in_a_row = 0
        if self._out.health.set_bus(self._bus.name, BusState.UP):
            _LOGGER.info("bus %s is up (%s)", self._bus.name, self._bus.transport)

    def _note_line_down(self, error: LineDown) -> None:
        if self._out.health.set_bus(self._bus.name, BusState.DOWN, str(error)):
            _LOGGER.warning("bus %s is down: %s", self._bus.name, error)
        for device in self._devices:
            # Not logged: the bus has said it for all of them.
            detail = f"bus {self._bus.name} is down"
            self._out.health.set_device(self._bus.name, device.config.unit, DeviceState.SILENT, detail)

    def _note_late(self, unit: int) -> None:
        self._out.health.count(self._bus.name, unit, Counts(late_answers=1))

    async def _take_turn(self, line: LineToPoll, schedule: Schedule) -> None:
        """Wait for the next turn and take it.

        Raises:
            LineDown: when the line broke, or must be opened anew.
        """
        turn = schedule.next(now_s=self._now_s())
        device = self._devices[turn.device]
        allowed_s = max(turn.at_s, line.quarantined_until_s(device.config.unit))
        if self._failures[turn.device]:
            allowed_s = max(allowed_s, self._budget.ready_at_s)
        if allowed_s > turn.at_s and allowed_s > self._now_s():
            schedule.hold(turn.device, until_s=allowed_s)
            return
        await self._sleep_until(turn.at_s)
        started_s = self._now_s()
        try:
            await self._visit(line, schedule, turn.device)
        finally:
            self._out.health.add_busy(self._bus.name, self._now_s() - started_s)

    async def _sleep_until(self, instant_s: float) -> None:
        delay_s = instant_s - self._now_s()
        if delay_s > 0:
            await self._clock.sleep(delay_s)

    async def _visit(self, line: LineToPoll, schedule: Schedule, number: int) -> None:
        """Introduce the device if need be, poll it, and plan its next turn."""
        device = self._devices[number]
        started_s = self._now_s()
        try:
            if not device.is_introduced:
                await device.introduce(line, is_probe=self._failures[number] > 0)
                self._announce(device)
            if device.maybe_mismatch is not None:
                poll = Poll(())
            elif not device.is_introduced:
                # An optional register was mute: others have their turns while this one must be left alone.
                now_s = self._now_s()
                schedule.retry(number, now_s=now_s, at_s=now_s)
                return
            else:
                poll = await device.poll(line)
        except LineDown:
            raise
        except BusError as error:
            self._note_failure(schedule, number, started_s, error)
            return
        except (ImplausibleValue, DecodeError) as error:
            self._set_aside(schedule, device, number, DeviceState.UNUSABLE, str(error))
            return
        finally:
            self._note_missing(number)
        self._conclude(schedule, number, started_s, poll)

    def _conclude(self, schedule: Schedule, number: int, started_s: float, poll: Poll) -> None:
        device = self._devices[number]
        for row in poll.rows:
            self._out.sink(row)
        self._announce(device)
        if device.maybe_mismatch is not None:
            says = f"says that it is {device.maybe_mismatch!r}"
            self._set_aside(schedule, device, number, DeviceState.WRONG_MODEL, says)
        elif poll.maybe_error is not None:
            self._note_failure(schedule, number, started_s, poll.maybe_error)
        elif not poll.rows:
            text = "none of its registers is answered"
            self._set_aside(schedule, device, number, DeviceState.UNUSABLE, text)
        else:
            self._note_success(schedule, number)

    def _note_success(self, schedule: Schedule, number: int) -> None:
        device = self._devices[number]
        self._failures[number] = self._silent_in_a_row = self._connects_in_vain = 0
        skipped = schedule.done(number, now_s=self._now_s(), wall_s=self._clock.wall_s())
        self._count(device, Counts(polls=1, skipped=skipped))
        self._set_state(device, *_condition(device))

    def _note_missing(self, number: int) -> None:
        """Note what the device does not give, whatever became of the visit."""
        device = self._devices[number]
        self._count(device, device.take_counts())
        self._missing_logs[number].note(device.missing, now_s=self._now_s())
        self._out.health.set_missing(self._bus.name, device.config.unit, device.missing)

    def _note_failure(self, schedule: Schedule, number: int, started_s: float, error: BusError) -> None:
        """Count it, plan the next probe, and give up a network line on which everybody is silent."""
        if isinstance(error, LineDown):
            raise error
        device = self._devices[number]
        self._count(
            device,
            Counts(timeouts=isinstance(error, NoAnswer), garbled_answers=isinstance(error, GarbledAnswer)),
        )
        now_s = self._now_s()
        if self._failures[number]:
            self._budget.spend(started_s=started_s, ended_s=now_s)
        self._failures[number] += 1
        pause_s = probe_pause_s(self._failures[number], poll_s=device.config.poll_s, jitter=self._dice())
        schedule.retry(number, now_s=now_s, at_s=now_s + pause_s)
        device.forget()
        self._set_state(device, DeviceState.SILENT, str(error))
        # A refusal is an answer: the connection works.
        self._silent_in_a_row = 0 if isinstance(error, MeterRefused) else self._silent_in_a_row + 1
        most = max(_SILENT_BEFORE_RECONNECT, len(self._devices))
        if self._bus.is_network and self._silent_in_a_row >= most:
            raise LineDown(f"{self._bus.transport}: nobody answers; connecting anew")

    def _set_aside(
        self, schedule: Schedule, device: Device, number: int, state: DeviceState, detail: str
    ) -> None:
        device.forget()
        now_s = self._now_s()
        schedule.retry(number, now_s=now_s, at_s=now_s + RECHECK_S)
        self._set_state(device, state, detail)

    def _set_state(self, device: Device, state: DeviceState, detail: str = "") -> None:
        before = self._out.health.state(self._bus.name, device.config.unit)
        if not self._out.health.set_device(self._bus.name, device.config.unit, state, detail):
            return
        if state not in GIVING_ROWS:
            _LOGGER.warning("%s is %s: %s", self._where(device), state, detail)
        elif before not in GIVING_ROWS:
            # What is missing from its rows has a line of its own.
            _LOGGER.info("%s answers", self._where(device))

    def _where(self, device: Device) -> str:
        return f"{device.name} (address {device.config.unit} on {self._bus.name})"

    def _count(self, device: Device, counts: Counts) -> None:
        self._out.health.count(self._bus.name, device.config.unit, counts)

    def _announce(self, device: Device) -> None:
        facts = device.facts()
        changed = {meter: one for meter, one in facts.items() if self._announced.get(meter) != one}
        if changed:
            self._announced.update(changed)
            self._out.announce(changed)


def _condition(device: Device) -> tuple[DeviceState, str]:
    """Return the state of a device that gives rows, and why it is not good."""
    counters = [one.text for one in device.missing if one.is_counter]
    if counters:
        return DeviceState.COUNTER_MISSING, "; ".join(counters)
    if not device.is_confirmed:
        reasons = [one.text for one in device.missing if one.use.role is Role.IDENTITY]
        return DeviceState.UNCONFIRMED, "; ".join(reasons)
    return DeviceState.GOOD, ""
