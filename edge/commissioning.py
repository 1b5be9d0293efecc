"""One meter, read once and shown in full: values, the registers behind them, and what to do when it fails."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from edge.bus import Bus
from edge.config import BusConfig, DeviceConfig, GatewayConfig, Point
from edge.decode import compile_decoder
from edge.device import Device, Wire
from edge.errors import BusError, EdgeError, GarbledAnswer, LineDown, NoAnswer
from edge.missing import Role
from edge.plan import Block
from edge.profile import RegisterSpec
from metering.quantities import VOCABULARY
from metering.readings import ReadingFlag, Value


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
    """

    quantity: str
    value: Value
    unit: str
    raw: bytes
    remark: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a meter said.

    Attributes:
        shown: Its quantities, in the order of the catalogue.
        maybe_serial: Serial number, if it tells one.
        maybe_mismatch: What it says it is, where that is another model.
        not_given: Identity or serial number that was refused or not answered, with the reason.
        requests: How many requests it took.
        took_s: How long they took.
    """

    shown: tuple[Shown, ...]
    maybe_serial: str | None
    maybe_mismatch: str | None
    not_given: tuple[str, ...]
    requests: int
    took_s: float


class _SystemClock:
    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class _Recorder:
    """Passes requests on and keeps the answers."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.answers: dict[Block, bytes] = {}
        self.requests = 0

    async def read(self, unit: int, block: Block) -> bytes:
        self.requests += 1
        self.answers[block] = await self._wire.read(unit, block)
        return self.answers[block]


async def read_meter(config: GatewayConfig, device: DeviceConfig, point: Point) -> Sheet:
    """Read a meter now, whatever model it says it is.

    Raises:
        NotReadable: with what to look at.
    """
    bus = config.bus(device.bus)
    started_s = time.monotonic()
    try:
        async with Bus(bus) as line:
            await line.connect()
            recorder = _Recorder(line)
            one = Device(device, bus, _SystemClock())
            await one.introduce(recorder, is_probe=False)
            poll = await one.poll(recorder)
            if poll.maybe_error is not None and not poll.rows:
                raise poll.maybe_error
    except BusError as error:
        raise NotReadable(_advice(config, bus, device, error)) from error
    return Sheet(
        shown=tuple(_shown(one, point, recorder.answers)),
        maybe_serial=one.maybe_serial,
        maybe_mismatch=one.maybe_mismatch,
        not_given=tuple(lost.text for lost in one.missing if lost.use.role in (Role.IDENTITY, Role.SERIAL)),
        requests=recorder.requests,
        took_s=time.monotonic() - started_s,
    )


def _shown(device: Device, point: Point, answers: dict[Block, bytes]) -> Iterator[Shown]:
    for spec in device.config.profile.channel(point.channel):
        maybe_block = next((block for block in answers if block.covers(spec.register)), None)
        known = VOCABULARY.get(spec.quantity)
        unit = known.unit.value if known else ""
        if maybe_block is None:
            remark = "unsupported" if spec.register in device.unsupported else "no answer"
            yield Shown(spec.quantity, None, unit, b"", remark)
        else:
            yield _shown_one(device, spec, maybe_block, answers[maybe_block], unit)


def _shown_one(device: Device, spec: RegisterSpec, block: Block, data: bytes, unit: str) -> Shown:
    decoder = compile_decoder([spec], [block], wiring=device.config.wiring, setup=device.setup)
    decoded = decoder.decode({block: data})
    start = 2 * (spec.register.address - block.address)
    return Shown(
        quantity=decoder.quantities[0],
        value=decoded.values[0],
        unit=unit,
        raw=data[start : start + 2 * spec.register.count],
        remark=_remark(decoded.quality),
    )


def _remark(quality: ReadingFlag) -> str:
    if quality & ReadingFlag.INVALID:
        return "no value"
    return "implausible" if quality & ReadingFlag.IMPLAUSIBLE else ""


def _advice(config: GatewayConfig, bus: BusConfig, device: DeviceConfig, error: BusError) -> str:
    where = f"address {device.unit} on {bus.name} ({bus.transport})"
    others = [one.name for one in config.devices_on(bus.name) if one is not device]
    hint = (
        f"\nOn the same bus: {', '.join(others)}. Does `read` get an answer from one of them?"
        if others
        else ""
    )
    if isinstance(error, NoAnswer):
        return f"no answer from {where} within {bus.timeout_s:g} s.\n{_silence_advice(bus)}{hint}"
    if isinstance(error, GarbledAnswer):
        return (
            f"what comes from {where} is no answer: {error}.\nCheck baud rate and parity, termination and"
            f" shield, and that no other meter has the same address.{hint}"
        )
    if isinstance(error, LineDown):
        return f"{bus.name} cannot be used: {error}\n{_line_advice(error)}"
    return f"{where} refuses: {error}\nIs it a {device.profile.model}? Another model has other registers."


def _silence_advice(bus: BusConfig) -> str:
    if bus.is_rtu:
        return "Check power, wires A and B (swapped?), baud rate, parity and the meter's address."
    return "Check power, network and the unit id; behind a gateway also the line from there to the meter."


def _line_advice(error: LineDown) -> str:
    if "lock" in str(error):
        return "Another program has the port open: stop zonewise-edge run while reading by hand."
    return "Check cable, device name (ls /dev/serial/by-id) or address and port of the converter."
