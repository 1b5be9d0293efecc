"""One meter, read once and shown in full: values, the bytes behind them, and what to do when it fails."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from edge.commissioning.advice import Stray, advice
from edge.config.gateway import GatewayConfig
from edge.drivers.contract import Driver, Inspection, L, Shown
from edge.drivers.missing import Missing, MissingRole
from edge.drivers.settings import BusConfig, DeviceAddress, DeviceConfig, Point
from edge.drivers.table import LoadDriver, load_driver
from edge.errors import BusError, EdgeError, GarbledAnswer, GatewayNoAnswer, NoAnswer
from edge.polling.poller import SystemPollerClock

#: How long `read` listens after a time-out, to tell a slow meter from a mute one.
LATE_S = 5.0


class NotReadable(EdgeError):
    """The meter could not be read; the text says what to look at."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a meter said.

    Attributes:
        shown: Its quantities, in the order of the catalogue.
        maybe_serial: Serial number, if it tells one.
        maybe_mismatch: What it says it is, where that is another model.
        reasons: Why quantities are missing.
        not_given: Identity or serial number that was refused or not answered, with the reason.
        requests: How many requests it took.
        took_s: How long they took.
    """

    shown: tuple[Shown, ...]
    maybe_serial: str | None
    maybe_mismatch: str | None
    reasons: tuple[str, ...]
    not_given: tuple[str, ...]
    requests: int
    took_s: float

    @property
    def is_empty(self) -> bool:
        """Whether it gave no value at all."""
        return all(one.value is None for one in self.shown)

    @property
    def is_unlikely(self) -> bool:
        """Whether none of the values that speak for the model lies where it should."""
        told = [one.maybe_usual for one in self.shown if one.maybe_usual is not None]
        return bool(told) and not any(told)


class _LateAnswers:
    """Notes answers that nobody waits for, and how long after the last request they came."""

    def __init__(self, asked_at_s: Callable[[], float]) -> None:
        self.strays: list[Stray] = []
        self._asked_at_s = asked_at_s
        self._has_stray = asyncio.Event()

    def note(self, address: DeviceAddress) -> None:
        self.strays.append(Stray(address, time.monotonic() - self._asked_at_s()))
        self._has_stray.set()

    async def wait(self) -> None:
        """Wait for one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LATE_S):
                await self._has_stray.wait()


async def read_meter(
    config: GatewayConfig, device: DeviceConfig, point: Point, *, drivers: LoadDriver = load_driver
) -> Sheet:
    """Read a meter now, whatever model it says it is.

    Args:
        config: The gateway.
        device: Whom to read.
        point: Which of its meters to show.
        drivers: Gives the driver of a protocol.

    Raises:
        NotReadable: with what to look at.
    """
    bus = config.bus(device.bus)
    driver = drivers(device.profile.protocol)
    started_s = time.monotonic()
    one = driver.inspection(device, bus, SystemPollerClock())
    late = _LateAnswers(lambda: one.asked_at_s)
    try:
        await _read(driver, bus, one, late)
    except BusError as error:
        others = [other.name for other in config.devices_on(bus.name) if other is not device]
        raise NotReadable(advice(bus, device, error, strays=late.strays, others=others)) from error
    return Sheet(
        shown=tuple(one.shown(point)),
        maybe_serial=one.maybe_serial,
        maybe_mismatch=one.maybe_mismatch,
        reasons=tuple(dict.fromkeys(lost.reason for lost in one.missing if _is_value(lost))),
        not_given=tuple(lost.text for lost in one.missing if not _is_value(lost)),
        requests=one.requests,
        took_s=time.monotonic() - started_s,
    )


def _is_value(lost: Missing) -> bool:
    return lost.use.role not in (MissingRole.IDENTITY, MissingRole.SERIAL)


async def _read(driver: Driver[L], bus: BusConfig, one: Inspection[L], late: _LateAnswers) -> None:
    async with driver.open_line(bus, late.note) as line:
        await line.connect()
        try:
            await one.run(line)
        except GatewayNoAnswer:
            raise
        except (NoAnswer, GarbledAnswer):
            await late.wait()
            raise
