"""Answers of a poll -> rows, one per meter of the device.

Contract:
- A row is stamped when the last answer with its counters came, else the last answer. Answers more than
  `MAX_APART_S` apart go into separate rows.
- What was asked for and not answered is a column without a value, and the row has PARTIAL. What is out of the
  plan has no column. A row that lacks a counter for either reason has COUNTER_MISSING.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge.drivers.modbus.decode import Decoder, compile_decoder
from edge.drivers.modbus.missing import MissingRegisters
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Register, as_profile
from edge.drivers.modbus.scale import NOTHING_FOUND, Found
from edge.drivers.polled import Polled
from edge.drivers.settings import DeviceConfig, Point
from metering.readings import ReadingFlag

#: Answers further apart are not one instant.
MAX_APART_S = 1.0
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes of a block, and when they came (monotonic)."""

    data: bytes
    at_ns: int


class Rows:
    """Makes rows of one device's answers.

    Attributes:
        setup: What the scale registers were found to hold.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self._specs = {point: as_profile(config.profile).channel(point.channel) for point in config.points}
        self._decoders: dict[tuple[Point, tuple[Block, ...]], Decoder] = {}
        self.setup: Found = NOTHING_FOUND

    def scale_by(self, setup: Found) -> None:
        """Take what the scale registers hold now."""
        self.setup = setup
        self._decoders.clear()

    def forget_blocks(self) -> None:
        """Note that other blocks are read from now on."""
        self._decoders.clear()

    def decoder(self, point: Point, blocks: tuple[Block, ...]) -> Decoder:
        """Return what decodes these blocks.

        Raises:
            ImplausibleValue: when a scale register was not read or holds what its table does not know.
        """
        known = self._decoders.get((point, blocks))
        if known is None:
            known = compile_decoder(self._specs[point], blocks, wiring=self._config.wiring, setup=self.setup)
            self._decoders[point, blocks] = known
        return known

    def of(
        self, blocks: Sequence[Block], answers: Mapping[Block, Answer], missing: MissingRegisters
    ) -> tuple[Polled, ...]:
        """Return the rows of a poll.

        Args:
            blocks: The plan.
            answers: What was answered, in this order; also to what was asked for beside the plan.
            missing: What the device does not give.

        Raises:
            DecodeError: when an answer does not have the length of its block.
        """
        groups = list(_groups(answers))
        unanswered = tuple(block for block in blocks if block not in answers)
        lacking = {point for point in self._specs if self._lacks_counter(point, unanswered, missing)}
        rows: list[Polled] = []
        for number, group in enumerate(groups):
            asked = (*group, *unanswered) if number == len(groups) - 1 else group
            for point in self._specs:
                flag = int(ReadingFlag.COUNTER_MISSING) if point in lacking else 0
                rows += self._point_rows(point, asked, answers, flag)
        return tuple(rows)

    def _point_rows(
        self, point: Point, asked: Sequence[Block], answers: Mapping[Block, Answer], flag: int
    ) -> Iterator[Polled]:
        registers = [spec.register for spec in self._specs[point]]
        mine = tuple(block for block in asked if _covers_any(block, registers))
        answered = {block: answers[block] for block in mine if block in answers}
        if not answered:
            return
        decoder = self.decoder(point, mine)
        decoded = decoder.decode({block: answer.data for block, answer in answered.items()})
        carriers = [answered[block].at_ns for block in decoder.counter_blocks if block in answered]
        yield Polled(
            meter=point.meter,
            medium=self._config.profile.medium,
            quantities=decoder.quantities,
            values=decoded.values,
            quality=int(decoded.quality) | flag,
            taken_monotonic_ns=max(carriers or [answer.at_ns for answer in answered.values()]),
        )

    def _lacks_counter(self, point: Point, unanswered: Sequence[Block], missing: MissingRegisters) -> bool:
        if not missing and not unanswered:
            return False
        counters = [spec.register for spec in self._specs[point] if spec.is_counter]
        return any(one in missing or any(block.covers(one) for block in unanswered) for one in counters)


def _covers_any(block: Block, registers: Collection[Register]) -> bool:
    return any(block.covers(register) for register in registers)


def _groups(answers: Mapping[Block, Answer]) -> Iterator[tuple[Block, ...]]:
    """Cut the answers, in the order in which they came, into spans of at most `MAX_APART_S`."""
    group: list[Block] = []
    for block, answer in answers.items():
        if group and answer.at_ns - answers[group[0]].at_ns > MAX_APART_S * NS_PER_S:
            yield tuple(group)
            group = []
        group.append(block)
    if group:
        yield tuple(group)
