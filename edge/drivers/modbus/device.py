"""One device on a bus: who it is, what is read of it, and the rows that come of it.

Contract:
- Before the first poll, after each connect and after each silence the device is introduced: is it there, who
  is it, its scale registers, its serial number. A device that says it is another model is not polled: its
  numbers would be wrong without looking so.
- Identity and serial number are optional: where they are refused or not answered, rows flow all the same.
  After a time-out of one of them the introduction ends early and is to be taken up again, so that others are
  asked during the late window.
- Blocks are read one after the other. A busy device is asked again after its other blocks; any other refusal
  takes its block apart, also after the others, and within one poll period: the rest follows at the next poll.
- What is missing (`edge.drivers.missing`) is asked for alone at the end of a poll.
- What is left out by silence gives a row with PARTIAL, as long as anything was read
  (`edge.drivers.modbus.rows`).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge.drivers.contract import MonotonicNs, Poll
from edge.drivers.counts import Counts
from edge.drivers.missing import Missing
from edge.drivers.modbus.decode import read_registers
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import PollClass, Register, as_profile, unit_id
from edge.drivers.modbus.reads import Reads
from edge.drivers.modbus.registers import Absent, Raw
from edge.drivers.modbus.rows import NS_PER_S, Answer, Rows
from edge.drivers.modbus.scale import Found
from edge.drivers.settings import BusConfig, DeviceConfig, Point
from edge.drivers.transformers import SECONDARY_A, SECONDARY_V, maybe_primary
from edge.errors import BusError, GarbledAnswer, ImplausibleValue, LineDown, MeterRefused, NoAnswer
from metering.messages.birth import MeterFacts

#: Quantities of the class *slow* are read about so often.
SLOW_S = 60.0
# A busy block is asked for so often in one poll; each try comes after the device's other blocks.
_MAX_BUSY_TRIES = 2
# A pause that is nearly over is not worth another poll period.
_EARLY_S = 2.0
_NOT_YET = "not asked for yet: a refused block is being taken apart"


class Wire(Protocol):
    """What a device needs of a bus (`edge.drivers.modbus.bus.Bus`)."""

    async def read(self, unit: int, block: Block) -> bytes:
        """Read a block, or raise a `BusError`."""


@dataclass(slots=True)
class _Reading:
    """A poll under way.

    Attributes:
        kind: What is read.
        deadline_s: Until when refused blocks are taken apart and missing registers asked for.
        answers: What was answered, in this order.
        busy: Blocks for which the device needs time, how often it said so, and what it said last.
        maybe_error: What ended it early.
    """

    kind: PollClass
    deadline_s: float
    answers: dict[Block, Answer] = field(default_factory=dict)
    busy: dict[Block, list[MeterRefused]] = field(default_factory=dict)
    maybe_error: BusError | None = None


class ModbusDevice:
    """A device and what is known of it now."""

    def __init__(self, config: DeviceConfig, bus: BusConfig, clock: MonotonicNs) -> None:
        self.config = config
        self._profile = as_profile(config.profile)
        self._unit = unit_id(config.address)
        self._clock = clock
        self._reads = Reads(config, bus)
        self._slow_every = max(1, round(SLOW_S / config.poll_s))
        self._polls = 0
        self._counts = Counts()
        self._rows = Rows(config)
        #: False also after a time-out of an optional register: to be introduced again as soon as allowed.
        self.is_introduced = False
        #: Whether it said since the last connect or silence that it is the model; True if it cannot be asked.
        self.is_confirmed = self._profile.identity is None
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
        """Registers that it does not give at present."""
        return self._reads.unsupported

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What it does not give at present, and when it is asked for again."""
        return self._reads.missing.all

    @property
    def setup(self) -> Found:
        """What its scale registers were found to hold."""
        return self._rows.setup

    def forget(self) -> None:
        """Take nothing for granted: it may have been changed for another."""
        self.is_introduced = False

    def take_counts(self) -> Counts:
        """Return what was refused or not answered, without ending a poll, since the last call."""
        counts, self._counts = self._counts, Counts()
        return counts

    async def introduce(self, wire: Wire, *, is_probe: bool) -> None:
        """Learn who it is and how it scales.

        Args:
            wire: Its bus.
            is_probe: Ask at least one thing, to see whether it is there.

        Raises:
            BusError: when it does not answer.
            ImplausibleValue: when a scale register holds what its table does not know.
        """
        profile = self._profile
        self._reads.missing.expect_change(now_s=self._now_s())
        self._reads.plan_anew()
        self._polls = 0
        self.is_confirmed = profile.identity is None
        optional = self._optional_registers()
        # Whether a device is there is told by what it must have, never by what it may not have.
        if not profile.setup_registers and (is_probe or optional):
            await self._ask_whether_it_is_there(wire)
        self._rows.scale_by(await self._read_alone(wire, profile.setup_registers))
        is_whole = True
        for register in optional:
            is_whole = is_whole and await self._ask_for_optional(wire, register)
        self._prepare_decoders()
        self.is_introduced = is_whole

    async def poll(self, wire: Wire) -> Poll:
        """Read it once; whatever was answered becomes rows."""
        # On the first poll everything is read, so that each new connection shows all there is.
        kind = PollClass.FAST if self._polls % self._slow_every else PollClass.SLOW
        self._polls += 1
        now_s = self._now_s()
        self._reads.begin(kind, now_s=now_s)
        due = self._reads.missing.due(now_s=now_s + min(_EARLY_S, self.config.poll_s / 2))
        reading = _Reading(kind, deadline_s=now_s + self.config.poll_s)
        await self._read_blocks(wire, reading)
        blocks = self._reads.blocks(kind)
        self._note_outcome(reading, blocks)
        if reading.maybe_error is None:
            self._reads.end(kind)
        is_plan_larger = reading.maybe_error is None and await self._ask_again(wire, due, reading)
        if not reading.answers and reading.busy and reading.maybe_error is None:
            reading.maybe_error = next(iter(reading.busy.values()))[-1]
        rows = self._rows.of(blocks, reading.answers, self._reads.missing)
        if is_plan_larger:
            self._rows.forget_blocks()
            self._reads.plan_anew()
        # Its identity may have been answered only now.
        return Poll(() if self.maybe_mismatch is not None else rows, reading.maybe_error)

    def facts(self) -> Mapping[str, MeterFacts]:
        """Return what is known of each meter, for the birth; also of counters that are missing at present."""
        return {point.meter: self._facts(point) for point in self.config.points}

    def _facts(self, point: Point) -> MeterFacts:
        profile = self._profile
        try:
            counters = self._rows.decoder(point, self._reads.whole).counters
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
                self._rows.decoder(point, self._reads.whole)
        except ImplausibleValue as error:
            if self.maybe_mismatch is None:
                raise
            # The cause, not only what came of it.
            raise ImplausibleValue(f"it says that it is {self.maybe_mismatch!r}: {error}") from error

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S

    def _optional_registers(self) -> tuple[Register, ...]:
        """Return identity and serial number, where there are such registers and their pauses are over."""
        profile, now_s = self._profile, self._now_s()
        identity = None if profile.identity is None else profile.identity.register
        return tuple(
            one
            for one in (identity, profile.serial_number)
            if one is not None and self._reads.missing.is_due(one, now_s=now_s)
        )

    async def _ask_whether_it_is_there(self, wire: Wire) -> None:
        """Ask for one short register; a refusal is an answer too."""
        try:
            await wire.read(self._unit, _alone(self._reads.cheapest))
        except MeterRefused:
            self._count(Counts(exceptions=1))

    async def _read_alone(self, wire: Wire, registers: Sequence[Register]) -> Found:
        """Read single registers, each in a request of its own; those refused for good are left out."""
        answers = {}
        for register in registers:
            block = _alone(register)
            try:
                answers[block] = await wire.read(self._unit, block)
            except MeterRefused as error:
                self._count(Counts(exceptions=1))
                if error.transient:
                    raise
        return read_registers(registers, answers)

    async def _ask_for_optional(self, wire: Wire, register: Register) -> bool:
        """Read identity or serial number if it is given; tells whether the device may be asked on at once."""
        try:
            maybe_data = await self._maybe_answer(wire, register)
        except (NoAnswer, GarbledAnswer):
            return False
        if maybe_data is not None:
            self._learn(register, maybe_data)
        return True

    async def _maybe_answer(self, wire: Wire, register: Register) -> bytes | None:
        """Ask for a register alone and note what comes of it; `None` = refused.

        Raises:
            BusError: when nothing came; noted too, so that the same register is not asked for at once.
        """
        try:
            data = await wire.read(self._unit, _alone(register))
        except BusError as error:
            self._reads.missing.lose(register, error, now_s=self._now_s())
            self._count(
                Counts(
                    timeouts=isinstance(error, NoAnswer),
                    garbled_answers=isinstance(error, GarbledAnswer),
                    exceptions=isinstance(error, MeterRefused),
                )
            )
            if isinstance(error, MeterRefused):
                return None
            raise
        self._reads.missing.find(register)
        return data

    def _learn(self, register: Register, data: bytes) -> None:
        """Take what identity or serial number say."""
        found = read_registers([register], {_alone(register): data})
        if register == self._profile.serial_number:
            self.maybe_serial = _maybe_text(found) or self.maybe_serial
        else:
            self.maybe_mismatch = self._maybe_mismatch(found)
            self.is_confirmed = True

    def _count(self, counts: Counts) -> None:
        self._counts = self._counts.plus(counts)

    def _maybe_mismatch(self, found: Found) -> str | None:
        identity = self._profile.identity
        if identity is None or identity.register not in found:
            return None
        says = found[identity.register]
        return None if says in identity.expected else str(says)

    async def _read_blocks(self, wire: Wire, reading: _Reading) -> None:
        """Read the plan's blocks, then what is left of those that were refused, as long as there is time."""
        refused: deque[Block] = deque()
        for block in self._reads.blocks(reading.kind):
            refused += await self._read_block(wire, block, reading)
            if reading.maybe_error is not None:
                return
        while refused and self._now_s() < reading.deadline_s:
            refused += await self._read_block(wire, refused.popleft(), reading)
            if reading.maybe_error is not None:
                return

    async def _read_block(self, wire: Wire, block: Block, reading: _Reading) -> Sequence[Block]:
        """Read a block; returns what to ask for in its place, after the others."""
        try:
            data = await wire.read(self._unit, block)
        except MeterRefused as error:
            self._count(Counts(exceptions=1))
            if not error.is_busy:
                self._rows.forget_blocks()
                return self._reads.refuse(reading.kind, block, error, now_s=self._now_s())
            said = reading.busy.setdefault(block, [])
            said.append(error)
            return (block,) if len(said) < _MAX_BUSY_TRIES else ()
        except BusError as error:
            reading.maybe_error = error
        else:
            reading.answers[block] = Answer(data, self._clock.monotonic_ns())
        return ()

    def _note_outcome(self, reading: _Reading, blocks: Sequence[Block]) -> None:
        """Note for each register of the plan whether it was given."""
        next_s = self._now_s() + self.config.poll_s
        for block in blocks:
            if block in reading.answers:
                if self._reads.missing:
                    for register in self._reads.covered(reading.kind, block):
                        self._reads.missing.find(register)
            elif reading.maybe_error is None:
                said = reading.busy.get(block)
                reason = said[-1].reason if said else _NOT_YET
                for register in self._reads.covered(reading.kind, block):
                    self._reads.missing.postpone(register, reason, now_s=self._now_s(), next_s=next_s)

    async def _ask_again(self, wire: Wire, due: Sequence[Register], reading: _Reading) -> bool:
        """Ask for what is missing and due; tells whether the plan grows.

        Each counter is asked for; of the rest nothing more after one is refused, and after silence nothing at
        all.
        """
        answered = len(reading.answers)
        is_refused = False
        for register in due:
            is_counter = self._reads.missing.is_counter(register)
            if self._now_s() >= reading.deadline_s:
                break
            if is_refused and not is_counter:
                continue
            try:
                is_given = await self._ask_for_missing(wire, register, reading)
            except LineDown as error:
                reading.maybe_error = error
                break
            except (NoAnswer, GarbledAnswer):
                break
            is_refused = is_refused or not (is_given or is_counter)
        return len(reading.answers) > answered

    async def _ask_for_missing(self, wire: Wire, register: Register, reading: _Reading) -> bool:
        """Ask for one missing register and take what it holds; tells whether it was given."""
        maybe_data = await self._maybe_answer(wire, register)
        if maybe_data is None:
            return False
        if self._is_optional(register):
            self._learn(register, maybe_data)
        else:
            reading.answers[_alone(register)] = Answer(maybe_data, self._clock.monotonic_ns())
        return True

    def _is_optional(self, register: Register) -> bool:
        profile = self._profile
        return register == profile.serial_number or (
            profile.identity is not None and register == profile.identity.register
        )


def _alone(register: Register) -> Block:
    return Block(register.function, register.address, register.count)


def _maybe_text(found: Found) -> str | None:
    values: list[Raw | Absent] = list(found.values())
    return None if not values or isinstance(values[0], Absent) else str(values[0])
