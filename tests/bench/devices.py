"""Meters of all ten models as answers of bytes, for measurements that need no wire. Pure.

Loads are steady with a ripple, so every poll gives other digits; what a meter would show is simulated.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.catalogue import models as catalogue
from edge.drivers.line_timing import LineTiming
from edge.drivers.modbus.decode import Decoder, compile_decoder, read_registers
from edge.drivers.modbus.plan import Block, cost_of_request, plan
from edge.drivers.modbus.profile import Profile
from edge.drivers.wiring import Wiring
from metering.readings import Reading, Row
from simulators.loads.course import Flow
from simulators.meters.image import Image, Request
from simulators.meters.meter import SimulatedMeter

_MS_PER_H = 3_600_000
_START_MS = 1_790_000_000_000


@dataclass(frozen=True, slots=True)
class Steady:
    """A constant load with a ripple in its power; the counter has been running for a while."""

    rate: float

    def at(self, instant_ms: int) -> Flow:
        """Return the flow at an instant."""
        hours = (instant_ms - _START_MS) / _MS_PER_H
        return Flow(self.rate * (1 + instant_ms % 9973 / 99730), 4_711_000.0 + self.rate * hours, 0.0)


@dataclass(frozen=True, slots=True)
class Device:
    """A device that answers, and what the gateway needs to understand it."""

    meter: str
    profile: Profile
    blocks: tuple[Block, ...]
    decoder: Decoder
    image: Image

    def answers(self, instant_ms: int) -> Mapping[Block, bytes]:
        """Return the bytes of one poll."""
        return {block: _ask(self.image, block, instant_ms) for block in self.blocks}

    def reading(self, instant_ms: int) -> Reading:
        """Return one poll's reading, decoded."""
        decoded = self.decoder.decode(self.answers(instant_ms))
        row = Row(self.meter, instant_ms, int(decoded.quality), decoded.values)
        return Reading(self.profile.medium, self.decoder.quantities, row)


def device(model: str, meter: str, *, line: LineTiming | None = None, number: int = 1) -> Device:
    """Make a device of a model with one meter, planned for a line (default: a network)."""
    profile = catalogue.load(model)
    load = Steady(3.7 if profile.medium != "electricity" else 12_345.6)
    simulated = SimulatedMeter(meter, load, medium=profile.medium, phases=3, wiring=Wiring())
    image = Image(profile, {1: simulated}, serial=number)
    specs = profile.channel(1)
    cost = cost_of_request(line or LineTiming.network(), answer_delay_s=profile.answer_delay_s)
    blocks = plan((spec.register for spec in specs), request_cost=cost, max_registers=profile.max_registers)
    registers = profile.setup_registers
    setup_blocks = plan(registers, request_cost=0, max_registers=profile.max_registers)
    setup = read_registers(registers, {block: _ask(image, block, _START_MS) for block in setup_blocks})
    return Device(meter, profile, blocks, compile_decoder(specs, blocks, setup=setup), image)


def _ask(image: Image, block: Block, instant_ms: int) -> bytes:
    return image.read(Request(1, block.function, block.address, block.count), instant_ms).data
