"""One meter, read once and shown in full: values, the registers behind them, and what to do when it fails."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from edge.commissioning.advice import Stray, advice
from edge.config.gateway import GatewayConfig
from edge.drivers.missing import Missing, Role
from edge.drivers.modbus.bus import Bus
from edge.drivers.modbus.decode import compile_decoder
from edge.drivers.modbus.device import Device, Wire
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import RegisterSpec
from edge.drivers.settings import BusConfig, DeviceConfig, Point
from edge.errors import BusError, EdgeError, GarbledAnswer, GatewayNoAnswer, NoAnswer
from metering.quantities import VOCABULARY
from metering.readings import ReadingFlag, Value

#: How long `read` listens after a time-out, to tell a slow meter from a mute one.
LATE_S = 5.0


class NotReadable(EdgeError):
    """The meter could not be read; the text says what to look at."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One quantity.

    Attributes:
        quantity: Name, transformers turned round already considered.
        value: In its unit; `None` = not read or not believed.
        unit: Unit of the value.
        raw: Registers as on the wire; empty when not answered.
        remark: What is wrong with it, or nothing.
        maybe_usual: Whether it lies where a meter of this model has it; `None` = its table does not say.
    """

    quantity: str
    value: Value
    unit: str
    raw: bytes
    remark: str
    maybe_usual: bool | None = None


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


class _SystemClock:
    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class _Ear:
    """Notes answers that nobody waits for, and how long after the last request they came."""

    def __init__(self) -> None:
        self.strays: list[Stray] = []
        self.asked_at_s = 0.0
        self._has_stray = asyncio.Event()

    def note(self, unit: int) -> None:
        self.strays.append(Stray(unit, time.monotonic() - self.asked_at_s))
        self._has_stray.set()

    async def listen(self) -> None:
        """Wait for one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LATE_S):
                await self._has_stray.wait()


class _Recorder:
    """Passes requests on and keeps the answers."""

    def __init__(self, wire: Wire, ear: _Ear) -> None:
        self._wire = wire
        self._ear = ear
        self.answers: dict[Block, bytes] = {}
        self.requests = 0

    async def read(self, unit: int, block: Block) -> bytes:
        self.requests += 1
        self._ear.asked_at_s = time.monotonic()
        self.answers[block] = await self._wire.read(unit, block)
        return self.answers[block]


async def read_meter(config: GatewayConfig, device: DeviceConfig, point: Point) -> Sheet:
    """Read a meter now, whatever model it says it is.

    Raises:
        NotReadable: with what to look at.
    """
    bus = config.bus(device.bus)
    started_s = time.monotonic()
    ear = _Ear()
    try:
        recorder, one = await _read(bus, device, ear)
    except BusError as error:
        others = [other.name for other in config.devices_on(bus.name) if other is not device]
        raise NotReadable(advice(bus, device, error, strays=ear.strays, others=others)) from error
    return Sheet(
        shown=tuple(_shown(one, point, recorder.answers)),
        maybe_serial=one.maybe_serial,
        maybe_mismatch=one.maybe_mismatch,
        reasons=tuple(dict.fromkeys(lost.reason for lost in one.missing if _is_value(lost))),
        not_given=tuple(lost.text for lost in one.missing if not _is_value(lost)),
        requests=recorder.requests,
        took_s=time.monotonic() - started_s,
    )


def _is_value(lost: Missing) -> bool:
    return lost.use.role not in (Role.IDENTITY, Role.SERIAL)


async def _read(bus: BusConfig, config: DeviceConfig, ear: _Ear) -> tuple[_Recorder, Device]:
    async with Bus(bus, on_late=ear.note) as line:
        await line.connect()
        recorder, one = _Recorder(line, ear), Device(config, bus, _SystemClock())
        try:
            await _poll(one, recorder)
        except GatewayNoAnswer:
            raise
        except (NoAnswer, GarbledAnswer):
            await ear.listen()
            raise
    return recorder, one


async def _poll(one: Device, recorder: _Recorder) -> None:
    await one.introduce(recorder, is_probe=False)
    poll = await one.poll(recorder)
    if poll.maybe_error is not None and not poll.rows:
        raise poll.maybe_error


def _shown(device: Device, point: Point, answers: dict[Block, bytes]) -> Iterator[Shown]:
    for spec in device.config.profile.channel(point.channel):
        maybe_block = next((block for block in answers if block.covers(spec.register)), None)
        known = VOCABULARY.get(spec.quantity)
        unit = known.unit.value if known else ""
        if maybe_block is None:
            remark = "refused" if spec.register in device.unsupported else "no answer"
            yield Shown(spec.quantity, None, unit, b"", remark)
        else:
            yield _shown_one(device, spec, maybe_block, answers[maybe_block], unit)


def _shown_one(device: Device, spec: RegisterSpec, block: Block, data: bytes, unit: str) -> Shown:
    decoder = compile_decoder([spec], [block], wiring=device.config.wiring, setup=device.setup)
    decoded = decoder.decode({block: data})
    start = 2 * (spec.register.address - block.address)
    maybe_usual = _maybe_usual(device, spec, block, data)
    return Shown(
        quantity=decoder.quantities[0],
        value=decoded.values[0],
        unit=unit,
        raw=data[start : start + 2 * spec.register.count],
        remark=_remark(decoded.quality) or ("unusual" if maybe_usual is False else ""),
        maybe_usual=maybe_usual,
    )


def _maybe_usual(device: Device, spec: RegisterSpec, block: Block, data: bytes) -> bool | None:
    """Tell whether the meter's own value, without transformers, lies in the range of the model's table."""
    limits = [one for one in device.config.profile.plausible if one.quantity == spec.quantity]
    (value,) = compile_decoder([spec], [block], setup=device.setup).decode({block: data}).values
    if not limits or value is None:
        return None
    return all(one.low <= value <= one.high for one in limits)


def _remark(quality: ReadingFlag) -> str:
    if quality & ReadingFlag.INVALID:
        return "no value"
    return "implausible" if quality & ReadingFlag.IMPLAUSIBLE else ""
