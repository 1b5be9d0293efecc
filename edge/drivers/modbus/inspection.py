"""A device read once by hand, with the registers behind each quantity."""

import time
from collections.abc import Iterator, Sequence

from edge.drivers.contract import MonotonicNs, Shown
from edge.drivers.missing import Missing
from edge.drivers.modbus.decode import compile_decoder
from edge.drivers.modbus.device import ModbusDevice, Wire
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import RegisterSpec, as_profile
from edge.drivers.settings import BusConfig, DeviceConfig, Point
from metering.quantities import VOCABULARY
from metering.readings import ReadingFlag


class _Recorder:
    """Passes requests on and keeps the answers."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.answers: dict[Block, bytes] = {}
        self.requests = 0
        self.asked_at_s = float("-inf")

    async def read(self, unit: int, block: Block) -> bytes:
        self.requests += 1
        self.asked_at_s = time.monotonic()
        self.answers[block] = await self._wire.read(unit, block)
        return self.answers[block]


class ModbusInspection:
    """What a device answered, and how it is understood."""

    def __init__(self, settings: DeviceConfig, bus: BusConfig, clock: MonotonicNs) -> None:
        self._device = ModbusDevice(settings, bus, clock)
        self._profile = as_profile(settings.profile)
        self._wiring = settings.wiring
        self._maybe_recorder: _Recorder | None = None

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return 0 if self._maybe_recorder is None else self._maybe_recorder.requests

    @property
    def asked_at_s(self) -> float:
        """The `time.monotonic` instant of the last request."""
        return float("-inf") if self._maybe_recorder is None else self._maybe_recorder.asked_at_s

    @property
    def maybe_serial(self) -> str | None:
        """Serial number, if it tells one."""
        return self._device.maybe_serial

    @property
    def maybe_mismatch(self) -> str | None:
        """Name of the model that it says it is, where that is another one."""
        return self._device.maybe_mismatch

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What it does not give."""
        return self._device.missing

    async def run(self, line: Wire) -> None:
        """Read it, whatever model it says it is.

        Raises:
            BusError: when nothing came.
        """
        self._maybe_recorder = recorder = _Recorder(line)
        await self._device.introduce(recorder, is_probe=False)
        poll = await self._device.poll(recorder)
        if poll.maybe_error is not None and not poll.rows:
            raise poll.maybe_error

    def shown(self, point: Point) -> Sequence[Shown]:
        """Return each quantity of a point, in the order of the catalogue."""
        return tuple(self._shown(point))

    def _shown(self, point: Point) -> Iterator[Shown]:
        answers = {} if self._maybe_recorder is None else self._maybe_recorder.answers
        for spec in self._profile.channel(point.channel):
            maybe_block = next((block for block in answers if block.covers(spec.register)), None)
            known = VOCABULARY.get(spec.quantity)
            unit = known.unit.value if known else ""
            if maybe_block is None:
                remark = "refused" if spec.register in self._device.unsupported else "no answer"
                yield Shown(spec.quantity, None, unit, "", remark)
            else:
                yield self._shown_one(spec, maybe_block, answers[maybe_block], unit)

    def _shown_one(self, spec: RegisterSpec, block: Block, data: bytes, unit: str) -> Shown:
        decoder = compile_decoder([spec], [block], wiring=self._wiring, setup=self._device.setup)
        decoded = decoder.decode({block: data})
        start = 2 * (spec.register.address - block.address)
        maybe_usual = self._maybe_usual(spec, block, data)
        return Shown(
            quantity=decoder.quantities[0],
            value=decoded.values[0],
            unit=unit,
            raw=data[start : start + 2 * spec.register.count].hex(),
            remark=_remark(decoded.quality) or ("unusual" if maybe_usual is False else ""),
            maybe_usual=maybe_usual,
        )

    def _maybe_usual(self, spec: RegisterSpec, block: Block, data: bytes) -> bool | None:
        """Return whether the value, without transformers, lies in the range of the model's table."""
        limits = [one for one in self._profile.plausible if one.quantity == spec.quantity]
        (value,) = compile_decoder([spec], [block], setup=self._device.setup).decode({block: data}).values
        if not limits or value is None:
            return None
        return all(one.low <= value <= one.high for one in limits)


def _remark(quality: ReadingFlag) -> str:
    if quality & ReadingFlag.INVALID:
        return "no value"
    return "implausible" if quality & ReadingFlag.IMPLAUSIBLE else ""
