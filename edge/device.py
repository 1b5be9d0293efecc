"""One device on a bus: who it is, what is read of it, and the rows that come of it.

Contract:
- Before the first poll, after each connect and after each silence the device is introduced: identity (read
  alone), scale registers, serial number. A device that says it is another model is not polled: its numbers
  would be wrong without looking so.
- Blocks are read one after the other. What was refused for good is taken apart and remembered until the next
  introduction; what is left out by silence gives a row with PARTIAL, as long as anything was read.
- A row is stamped when the last answer with its counters came, else the last answer. Answers more than
  `MOST_APART_S` apart go into separate rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge.config import BusConfig, DeviceConfig, Point
from edge.decode import Decoder, compile_decoder, read_registers
from edge.errors import BusError, ImplausibleValue, MeterRefused
from edge.plan import Block, ReadPlan, cost_of_request
from edge.polled import Polled
from edge.profile import PollClass, Register
from edge.registers import Absent, Raw
from edge.scale import NOTHING_FOUND, Found
from edge.transformers import SECONDARY_A, SECONDARY_V, maybe_primary
from metering.birth import MeterFacts

#: Answers further apart are not one instant.
MOST_APART_S = 1.0
#: Quantities of the class *slow* are read about so often.
SLOW_S = 60.0
_NS_PER_S = 1_000_000_000


class Wire(Protocol):
    """What a device needs of a bus (`edge.bus.Bus`)."""

    async def read(self, unit: int, block: Block) -> bytes:
        """Read a block, or raise a `BusError`."""


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
        refusals: Requests that the device refused.
    """

    rows: tuple[Polled, ...]
    maybe_error: BusError | None = None
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    data: bytes
    at_ns: int


@dataclass(slots=True)
class _Reading:
    """Answers of a poll under way."""

    answers: dict[Block, _Answer] = field(default_factory=dict)
    maybe_error: BusError | None = None
    refusals: int = 0


class Device:
    """A device and what is known of it now."""

    def __init__(self, config: DeviceConfig, bus: BusConfig, clock: MonotonicNs) -> None:
        self.config = config
        self._clock = clock
        self._cost = cost_of_request(bus.line, answer_delay_s=config.profile.answer_delay_s)
        self._slow_every = max(1, round(SLOW_S / config.poll_s))
        self._polls = 0
        self._setup: Found = NOTHING_FOUND
        self._decoders: dict[tuple[Point, tuple[Block, ...]], Decoder] = {}
        self._plans = self._new_plans()
        self.is_introduced = False
        #: What it says it is, where that is another model.
        self.maybe_mismatch: str | None = None
        #: Serial number, once it could be read.
        self.maybe_serial: str | None = None

    @property
    def name(self) -> str:
        """Ids of its meters."""
        return self.config.name

    @property
    def unsupported(self) -> tuple[Register, ...]:
        """Registers that it turned out not to have."""
        return self._plans[PollClass.SLOW].unsupported

    @property
    def setup(self) -> Found:
        """What its scale registers were found to hold."""
        return self._setup

    def forget(self) -> None:
        """Take nothing for granted: it may have been changed for another."""
        self.is_introduced = False

    async def introduce(self, wire: Wire, *, is_probe: bool) -> None:
        """Learn who it is and how it scales.

        Args:
            wire: Its bus.
            is_probe: Ask at least one thing, to see whether it is there.

        Raises:
            BusError: when it does not answer.
            ImplausibleValue: when a scale register holds what its table does not know.
        """
        profile = self.config.profile
        self._decoders.clear()
        self._plans = self._new_plans()
        self._polls = 0
        identity = () if profile.identity is None else (profile.identity.register,)
        found = await self._read_alone(wire, identity)
        self.maybe_mismatch = self._maybe_mismatch(found)
        self._setup = await self._read_alone(wire, profile.setup_registers)
        serial = () if profile.serial_number is None else (profile.serial_number,)
        self.maybe_serial = _maybe_text(await self._read_alone(wire, serial)) or self.maybe_serial
        if is_probe and not (identity or profile.setup_registers or serial):
            cheapest = min(self._plans[PollClass.FAST].registers, key=lambda register: register.count)
            await self._read_alone(wire, (cheapest,))
        self._prepare_decoders()
        self.is_introduced = True

    async def poll(self, wire: Wire) -> Poll:
        """Read it once; whatever was answered becomes rows."""
        # On the first poll everything is read, so that each new connection shows all there is.
        kind = PollClass.FAST if self._polls % self._slow_every else PollClass.SLOW
        self._polls += 1
        reading = _Reading()
        await self._read_blocks(wire, kind, reading)
        rows = tuple(self._rows(self._plans[kind].blocks, reading.answers))
        return Poll(rows, reading.maybe_error, reading.refusals)

    def facts(self) -> Mapping[str, MeterFacts]:
        """Give what is known of each meter, for the birth."""
        return {point.meter: self._facts(point) for point in self.config.points}

    def _facts(self, point: Point) -> MeterFacts:
        profile = self.config.profile
        try:
            counters = self._decoder(point, self._plans[PollClass.SLOW].blocks).counters
        except ImplausibleValue:  # its scale registers were not read yet
            counters = {}
        return MeterFacts(
            model=profile.model,
            profile=profile.hash,
            medium=profile.medium,
            poll_s=self.config.poll_s,
            serial=self.maybe_serial,
            counters=counters,
            ct_primary_a=maybe_primary(self.config.wiring.ct, SECONDARY_A),
            vt_primary_v=maybe_primary(self.config.wiring.vt, SECONDARY_V),
        )

    def _prepare_decoders(self) -> None:
        try:
            for point in self.config.points:
                self._decoder(point, self._plans[PollClass.SLOW].blocks)
        except ImplausibleValue as error:
            if self.maybe_mismatch is None:
                raise
            # The cause, not only what came of it.
            raise ImplausibleValue(f"it says that it is {self.maybe_mismatch!r}: {error}") from error

    def _new_plans(self) -> dict[PollClass, ReadPlan]:
        profile = self.config.profile
        specs = [spec for point in self.config.points for spec in profile.channel(point.channel)]
        fast = [spec.register for spec in specs if spec.poll is PollClass.FAST]
        return {
            kind: ReadPlan.of(registers, request_cost=self._cost, max_registers=profile.max_registers)
            for kind, registers in (
                (PollClass.SLOW, [spec.register for spec in specs]),
                (PollClass.FAST, fast or [spec.register for spec in specs]),
            )
        }

    async def _read_alone(self, wire: Wire, registers: Sequence[Register]) -> Found:
        """Read single registers, each in a request of its own; those refused for good are left out."""
        answers = {}
        for register in registers:
            block = Block(register.function, register.address, register.count)
            try:
                answers[block] = await wire.read(self.config.unit, block)
            except MeterRefused as error:
                if error.transient:
                    raise
        return read_registers(registers, answers)

    def _maybe_mismatch(self, found: Found) -> str | None:
        identity = self.config.profile.identity
        if identity is None or identity.register not in found:
            return None
        says = found[identity.register]
        return None if says in identity.expected else str(says)

    async def _read_blocks(self, wire: Wire, kind: PollClass, reading: _Reading) -> None:
        waiting = list(self._plans[kind].blocks)
        maybe_busy: BusError | None = None
        while waiting:
            block = waiting.pop(0)
            try:
                data = await wire.read(self.config.unit, block)
            except MeterRefused as error:
                reading.refusals += 1
                if error.transient:
                    maybe_busy = error
                else:
                    waiting[:0] = self._take_apart(kind, block)
            except BusError as error:
                reading.maybe_error = error
                return
            else:
                reading.answers[block] = _Answer(data, self._clock.monotonic_ns())
        if not reading.answers:
            reading.maybe_error = maybe_busy

    def _take_apart(self, kind: PollClass, block: Block) -> list[Block]:
        before = self._plans[kind]
        after = before.refused(block)
        self._plans[kind] = after
        self._decoders.clear()
        return [one for one in after.blocks if one not in before.blocks]

    def _rows(self, blocks: Sequence[Block], answers: Mapping[Block, _Answer]) -> Iterator[Polled]:
        groups = list(_groups(answers))
        missing = tuple(block for block in blocks if block not in answers)
        for number, group in enumerate(groups):
            asked = (*group, *missing) if number == len(groups) - 1 else group
            for point in self.config.points:
                yield from self._point_rows(point, asked, answers)

    def _point_rows(
        self, point: Point, asked: tuple[Block, ...], answers: Mapping[Block, _Answer]
    ) -> Iterator[Polled]:
        specs = self.config.profile.channel(point.channel)
        mine = tuple(block for block in asked if any(block.covers(spec.register) for spec in specs))
        answered = {block: answers[block] for block in mine if block in answers}
        if not answered:
            return
        decoder = self._decoder(point, mine)
        decoded = decoder.decode({block: answer.data for block, answer in answered.items()})
        carriers = [answered[block].at_ns for block in decoder.counter_blocks if block in answered]
        yield Polled(
            meter=point.meter,
            medium=self.config.profile.medium,
            quantities=decoder.quantities,
            values=decoded.values,
            quality=int(decoded.quality),
            taken_monotonic_ns=max(carriers or [answer.at_ns for answer in answered.values()]),
        )

    def _decoder(self, point: Point, blocks: tuple[Block, ...]) -> Decoder:
        known = self._decoders.get((point, blocks))
        if known is None:
            known = compile_decoder(
                self.config.profile.channel(point.channel),
                blocks,
                wiring=self.config.wiring,
                setup=self._setup,
            )
            self._decoders[point, blocks] = known
        return known


def _groups(answers: Mapping[Block, _Answer]) -> Iterator[tuple[Block, ...]]:
    """Cut the answers, in the order in which they came, into spans of at most `MOST_APART_S`."""
    group: list[Block] = []
    for block, answer in answers.items():
        if group and answer.at_ns - answers[group[0]].at_ns > MOST_APART_S * _NS_PER_S:
            yield tuple(group)
            group = []
        group.append(block)
    if group:
        yield tuple(group)


def _maybe_text(found: Found) -> str | None:
    values: list[Raw | Absent] = list(found.values())
    return None if not values or isinstance(values[0], Absent) else str(values[0])
