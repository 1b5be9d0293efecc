"""One worker per bus: opens the line, polls the devices in turn, hands their rows on.

Contract:
- Rows go to the sink in the event loop, as soon as a device was polled; the sink never blocks.
- A line is up when a device on it has answered, and down when it cannot be opened, breaks, or nobody answers
  for some time (`edge.polling.silence`).
- A line that is down is opened again, with pauses that grow until a device has answered; nobody on it is
  blamed. A network line from which no byte comes is opened anew, since a dead connection shows no other
  sign; a serial one is not.
- A silent device is left to `edge.polling.silence`; the others keep their schedule. A device that answers and
  gives no rows (refusals, wrong model, unusable set-up) is asked again after seconds, then with growing
  pauses.
- A change of state is logged once, not at every poll.
- Clock, jitter and driver are arguments; of a protocol only `edge.drivers.contract` is known.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol

from edge.drivers.contract import Device, Driver, L, Poll
from edge.drivers.counts import Counts
from edge.drivers.missing import MissingRole
from edge.drivers.polled import Polled
from edge.drivers.settings import BusConfig, DeviceAddress, DeviceConfig
from edge.errors import (
    BusError,
    DecodeError,
    GarbledAnswer,
    ImplausibleValue,
    LineDown,
    MeterRefused,
    NoAnswer,
)
from edge.polling.backoff import recheck_pause_s, reconnect_pause_s, silence_before_reconnect_s
from edge.polling.health import GIVING_ROWS, BusState, DeviceState, Health
from edge.polling.missing_log import MissingLog
from edge.polling.schedule import Schedule
from edge.polling.silence import SILENT_AFTER_S, LineSilence
from metering.messages.birth import MeterFacts

_LOGGER = logging.getLogger(__name__)


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


class Poller(Generic[L]):
    """Polls one bus until cancelled.

    Args:
        bus: Which line.
        devices: Who is on it.
        driver: How its protocol is spoken.
        outlets: Where findings go.
        clock: What to live by.
        jitter: Gives random numbers in [0, 1).
    """

    def __init__(
        self,
        bus: BusConfig,
        devices: Sequence[DeviceConfig],
        *,
        driver: Driver[L],
        outlets: Outlets,
        clock: PollerClock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._bus = bus
        self._clock = clock or SystemPollerClock()
        self._devices = [driver.device(one, bus, self._clock) for one in devices]
        self._missing_logs = [MissingLog(self._where(device)) for device in self._devices]
        self._driver = driver
        self._out = outlets
        self._jitter = jitter
        self._silence = LineSilence(len(devices))
        self._rechecks = [0] * len(devices)
        self._connects_in_vain = 0
        self._is_down = False
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
        async with self._driver.open_line(self._bus, self._note_late) as line:
            while True:
                await self._connect(line)
                schedule = Schedule([d.config.poll_s for d in self._devices], now_s=self._now_s())
                self._forget_all()
                try:
                    while True:
                        await self._take_turn(line, schedule)
                except LineDown as error:
                    self._note_line_down(error)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    async def _connect(self, line: L) -> None:
        while True:
            # Some devices accept a connection and close it at once: only an answer ends the growing pauses.
            if self._connects_in_vain:
                await self._clock.sleep(reconnect_pause_s(self._connects_in_vain, jitter=self._jitter()))
            self._connects_in_vain += 1
            try:
                await line.connect()
            except LineDown as error:
                self._note_line_down(error)
            else:
                break
        self._silence.reconnected()

    def _forget_all(self) -> None:
        for device in self._devices:
            device.forget()

    def _note_line_up(self, answered: int) -> None:
        self._connects_in_vain = 0
        was_down, self._is_down = self._is_down, False
        if self._out.health.set_bus(self._bus.name, BusState.UP):
            _LOGGER.info("bus %s is up (%s)", self._bus.name, self._bus.transport)
        for number, device in enumerate(self._devices):
            if was_down and number != answered and self._silence.failures(number):
                detail = "no answer since before the line was down"
                self._out.health.set_device(self._bus.name, device.config.address, DeviceState.SILENT, detail)

    def _note_line_down(self, error: LineDown) -> None:
        self._is_down = True
        if self._out.health.set_bus(self._bus.name, BusState.DOWN, str(error)):
            _LOGGER.warning("bus %s is down: %s", self._bus.name, error)
        for device in self._devices:
            # Not logged: the bus has said it for all of them.
            detail = f"bus {self._bus.name} is down"
            self._out.health.set_device(self._bus.name, device.config.address, DeviceState.SILENT, detail)

    def _note_late(self, address: DeviceAddress) -> None:
        self._out.health.count(self._bus.name, address, Counts(late_answers=1))

    async def _take_turn(self, line: L, schedule: Schedule) -> None:
        """Wait for the next turn and take it.

        Raises:
            LineDown: when the line broke, or must be opened anew.
        """
        turn = schedule.next(now_s=self._now_s())
        device = self._devices[turn.device]
        allowed_s = max(turn.at_s, line.allowed_at_s(device.config.address))
        allowed_s = max(allowed_s, self._silence.allowed_s(turn.device))
        if allowed_s > turn.at_s and allowed_s > self._now_s():
            schedule.hold(turn.device, until_s=allowed_s)
            return
        look_at_s = self._look_at_s(line)
        if look_at_s < turn.at_s:
            await self._sleep_until(look_at_s)
            self._judge_silence(line)
            return
        await self._sleep_until(turn.at_s)
        if line.was_closed_idle:
            # No fault: many peers do. But the device may have been exchanged meanwhile.
            await line.connect()
            self._forget_all()
        started_s = self._now_s()
        try:
            await self._visit(line, schedule, turn.device)
        finally:
            self._out.health.add_busy(self._bus.name, self._now_s() - started_s)
        if line.answered_at_s >= started_s:
            self._note_answer(schedule, turn.device)
        else:
            self._judge_silence(line)

    def _note_answer(self, schedule: Schedule, number: int) -> None:
        now_s = self._now_s()
        for woken in self._silence.heard(number):
            schedule.retry(woken, now_s=now_s, at_s=now_s)
        self._note_line_up(number)

    def _silent_from_s(self, line: L) -> tuple[float, float]:
        """Return from when the line counts as silent, and from when it is to be opened anew."""
        since_s = self._silence.maybe_since_s
        if since_s is None:
            return float("inf"), float("inf")
        no_byte_since_s = max(since_s, line.heard_at_s)
        patience_s = silence_before_reconnect_s(self._connects_in_vain)
        anew_s = no_byte_since_s + patience_s if self._bus.is_network else float("inf")
        return since_s + SILENT_AFTER_S, anew_s

    def _look_at_s(self, line: L) -> float:
        """Return when the line's silence is to be judged next, be somebody asked by then or not."""
        now_s = self._now_s()
        return min((at_s for at_s in self._silent_from_s(line) if at_s > now_s), default=float("inf"))

    def _judge_silence(self, line: L) -> None:
        """Note a silent line as down.

        Raises:
            LineDown: when it is to be opened anew.
        """
        silent_s, anew_s = self._silent_from_s(line)
        now_s = self._now_s()
        if now_s < silent_s:
            return
        self._silence.note_silent()
        detail = f"none of its {len(self._devices)} devices answers; check their power and the cable"
        if now_s >= anew_s:
            raise LineDown(f"{detail} (connecting anew)")
        if not self._is_down:
            self._note_line_down(LineDown(detail))

    async def _sleep_until(self, instant_s: float) -> None:
        delay_s = instant_s - self._now_s()
        if delay_s > 0:
            await self._clock.sleep(delay_s)

    async def _visit(self, line: L, schedule: Schedule, number: int) -> None:
        """Introduce the device if need be, poll it, and plan its next turn."""
        device = self._devices[number]
        started_s = self._now_s()
        try:
            if not device.is_introduced:
                await device.introduce(line, is_probe=self._silence.failures(number) > 0)
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
        self._silence.answered(number)
        self._rechecks[number] = 0
        skipped = schedule.done(number, now_s=self._now_s(), wall_s=self._clock.wall_s())
        self._count(device, Counts(polls=1, skipped=skipped))
        self._set_state(device, *_condition(device))

    def _note_missing(self, number: int) -> None:
        """Note what the device does not give, whatever became of the visit."""
        device = self._devices[number]
        self._count(device, device.take_counts())
        self._missing_logs[number].note(device.missing, now_s=self._now_s())
        self._out.health.set_missing(self._bus.name, device.config.address, device.missing)

    def _note_failure(self, schedule: Schedule, number: int, started_s: float, error: BusError) -> None:
        """Count it and plan when the device is asked again."""
        if isinstance(error, LineDown):
            raise error
        device = self._devices[number]
        if isinstance(error, MeterRefused):
            # An answer, at little cost for the line.
            self._set_aside(schedule, device, number, DeviceState.SILENT, str(error))
            return
        self._count(
            device,
            Counts(timeouts=isinstance(error, NoAnswer), garbled_answers=isinstance(error, GarbledAnswer)),
        )
        now_s, poll_s = self._now_s(), device.config.poll_s
        pause_s = self._silence.failed(
            number, asked_s=started_s, now_s=now_s, poll_s=poll_s, jitter=self._jitter()
        )
        schedule.retry(number, now_s=now_s, at_s=now_s + pause_s)
        device.forget()
        self._set_state(device, DeviceState.SILENT, str(error))

    def _set_aside(
        self, schedule: Schedule, device: Device[L], number: int, state: DeviceState, detail: str
    ) -> None:
        """Note that a device answers and gives no rows: it may be booting, or be the wrong one."""
        device.forget()
        self._silence.answered(number)
        self._rechecks[number] += 1
        now_s = self._now_s()
        pause_s = recheck_pause_s(self._rechecks[number], jitter=self._jitter())
        schedule.retry(number, now_s=now_s, at_s=now_s + pause_s)
        self._set_state(device, state, detail)

    def _set_state(self, device: Device[L], state: DeviceState, detail: str = "") -> None:
        before = self._out.health.state(self._bus.name, device.config.address)
        if not self._out.health.set_device(self._bus.name, device.config.address, state, detail):
            return
        if state not in GIVING_ROWS:
            _LOGGER.warning("%s is %s: %s", self._where(device), state, detail)
        elif before not in GIVING_ROWS:
            # What is missing from its rows has a line of its own.
            _LOGGER.info("%s answers", self._where(device))

    def _where(self, device: Device[L]) -> str:
        return f"{device.config.name} ({device.config.place})"

    def _count(self, device: Device[L], counts: Counts) -> None:
        self._out.health.count(self._bus.name, device.config.address, counts)

    def _announce(self, device: Device[L]) -> None:
        facts = device.facts()
        changed = {meter: one for meter, one in facts.items() if self._announced.get(meter) != one}
        if changed:
            self._announced.update(changed)
            self._out.announce(changed)


def _condition(device: Device[Any]) -> tuple[DeviceState, str]:
    """Return the state of a device that gives rows, and why it is not good."""
    counters = [one.text for one in device.missing if one.is_counter]
    if counters:
        return DeviceState.COUNTER_MISSING, "; ".join(counters)
    if not device.is_confirmed:
        reasons = [one.text for one in device.missing if one.use.role is MissingRole.IDENTITY]
        return DeviceState.UNCONFIRMED, "; ".join(reasons)
    return DeviceState.GOOD, ""
