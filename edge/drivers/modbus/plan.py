"""Which registers are read in one request, and how long that takes. Pure.

Invariants of every plan:
- Each register lies whole in exactly one block; a block never mixes functions and never exceeds the limit.
- The blocks are the cheapest such set, a request being worth `request_cost` registers: holes are read along
  where that is cheaper than asking again.
- A refused block is taken apart step by step: first its holes are given up, then halves are tried, so that
  one register a meter does not give costs few requests more. A single register refused is left out.
- No hole reads a register that is to be avoided, because the meter refused it.

Timing: `edge.drivers.line_timing`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from edge.drivers.line_timing import LineTiming
from edge.drivers.modbus.profile import Function, Register

#: Most registers in one answer: its byte count is one byte (MODBUS Application Protocol V1.1b3, 6.3).
MAX_REGISTERS = 125
_BYTES_PER_REGISTER = 2
# Unit, function, address, count, CRC; and of the answer unit, function, byte count, CRC.
_REQUEST_BYTES = 8
_ANSWER_BYTES = 5
# Over a network a register costs nothing beside a round trip, but the wider the hole, the more likely the
# meter refuses it.
_NETWORK_REQUEST_COST = 32.0


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """One read request.

    Attributes:
        function: Which kind of register.
        address: First register, 0-based.
        count: How many.

    Raises:
        ValueError: when no meter could answer it.
    """

    function: Function
    address: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_REGISTERS or not 0 <= self.address <= 65536 - self.count:
            raise ValueError(f"cannot read {self.count} registers at {self.address}")

    @property
    def end(self) -> int:
        """Address behind the last register."""
        return self.address + self.count

    @property
    def size(self) -> int:
        """Bytes of data in the answer."""
        return _BYTES_PER_REGISTER * self.count

    @property
    def wire_characters(self) -> int:
        """Characters of request and answer together, without the silences around them."""
        return _REQUEST_BYTES + _ANSWER_BYTES + self.size

    def covers(self, register: Register) -> bool:
        """Tell whether the whole register is in the block."""
        return (
            self.function is register.function
            and self.address <= register.address
            and register.end <= self.end
        )


def block_time_s(block: Block, line: LineTiming, *, answer_delay_s: float = 0.05) -> float:
    """Return how long a block keeps the bus busy: request, the meter's delay, answer and both silences.

    Args:
        block: What is read.
        line: Where.
        answer_delay_s: From the request's end to the answer's start.
    """
    return block.wire_characters * line.char_s + 2 * line.silence_s + line.latency_s + answer_delay_s


def cost_of_request(line: LineTiming, *, answer_delay_s: float = 0.05) -> float:
    """Return how many registers could be read in the time that one more request costs."""
    if line.baud is None:
        return _NETWORK_REQUEST_COST
    per_register_s = _BYTES_PER_REGISTER * line.char_s
    empty = block_time_s(Block(Function.INPUT, 0, 1), line, answer_delay_s=answer_delay_s) - per_register_s
    return empty / per_register_s


def plan(
    registers: Iterable[Register],
    *,
    request_cost: float,
    max_registers: int = MAX_REGISTERS,
    avoid: Iterable[Register] = (),
) -> tuple[Block, ...]:
    """Return the blocks that read all registers at the least cost, ascending by function and address.

    Args:
        registers: What is wanted; the same one may be given more than once.
        request_cost: What one more request costs, in registers; see `cost_of_request`. 0 = never read a hole.
        max_registers: Most registers in one block; for this meter, up to 125.
        avoid: Registers that no hole may read.

    Raises:
        ValueError: when a single register is longer than the limit.
    """
    blocks: list[Block] = []
    wanted = sorted(set(registers), key=lambda r: (r.function, r.address, r.end))
    avoided = tuple(avoid)
    for function in Function:
        mine = [register for register in wanted if register.function is function]
        blocks += _plan_one(function, mine, request_cost, max_registers, avoided)
    return tuple(blocks)


def _plan_one(
    function: Function,
    wanted: Sequence[Register],
    request_cost: float,
    max_registers: int,
    avoided: Sequence[Register],
) -> list[Block]:
    """Cut the ascending registers at the cheapest places.

    `best[i]` is the cost of the first i registers and where their last block starts; with few dozen registers
    per meter the quadratic search takes well under a millisecond.
    """
    best: list[tuple[float, int]] = [(0.0, 0)]
    for stop in range(1, len(wanted) + 1):
        options: list[tuple[float, int]] = []
        end = 0
        for start in range(stop - 1, -1, -1):
            end = max(end, wanted[start].end)
            count = end - wanted[start].address
            # A single value is never given up for a register that it overlaps.
            if count > max_registers or (options and _touches(function, wanted[start].address, end, avoided)):
                break
            options.append((best[start][0] + request_cost + count, start))
        if not options:
            raise ValueError(f"a value of {wanted[stop - 1].count} registers exceeds {max_registers}")
        best.append(min(options))
    blocks = []
    stop = len(wanted)
    while stop:
        start = best[stop][1]
        blocks.append(_block_of(function, wanted[start:stop]))
        stop = start
    return blocks[::-1]


def _touches(function: Function, start: int, end: int, registers: Iterable[Register]) -> bool:
    return any(one.function is function and one.address < end and start < one.end for one in registers)


def _block_of(function: Function, registers: Sequence[Register]) -> Block:
    address = min(register.address for register in registers)
    return Block(function, address, max(register.end for register in registers) - address)


def split(block: Block, registers: Iterable[Register]) -> tuple[Block, ...]:
    """Return smaller blocks for the same registers after a refusal; none when there is nothing smaller.

    Holes are given up first; a block without holes is halved at a boundary between values.
    """
    inside = sorted({r for r in registers if block.covers(r)}, key=lambda r: (r.address, r.end))
    runs = _runs(inside)
    if len(runs) == 1 and len(runs[0]) > 1:
        middle = len(inside) // 2
        runs = [inside[:middle], inside[middle:]]
    parts = tuple(_block_of(block.function, run) for run in runs)
    return () if parts == (block,) else parts


def _runs(ascending: Sequence[Register]) -> list[list[Register]]:
    """Cut registers where one ends before the next begins."""
    runs = [[register] for register in ascending[:1]]
    for before, register in pairwise(ascending):
        if register.address > before.end:
            runs.append([])
        runs[-1].append(register)
    return runs


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The blocks of one meter, and what it refuses.

    Attributes:
        registers: What is wanted and not refused.
        blocks: How it is read.
        unsupported: Registers refused one by one.
        is_split: Whether a block was taken apart: fewer requests may do when it is planned anew.
    """

    registers: tuple[Register, ...]
    blocks: tuple[Block, ...]
    unsupported: tuple[Register, ...] = ()
    is_split: bool = False

    @classmethod
    def of(
        cls,
        registers: Iterable[Register],
        *,
        request_cost: float,
        max_registers: int = MAX_REGISTERS,
        avoid: Iterable[Register] = (),
    ) -> "ReadPlan":
        """Plan from scratch, without the registers to avoid; arguments as of `plan`."""
        avoided = frozenset(avoid)
        wanted = tuple(one for one in dict.fromkeys(registers) if one not in avoided)
        blocks = plan(wanted, request_cost=request_cost, max_registers=max_registers, avoid=avoided)
        return cls(wanted, blocks)

    def refused(self, block: Block) -> "ReadPlan":
        """Return the plan after the meter refused a block.

        Raises:
            ValueError: when the block is not one of the plan's.
        """
        place = self.blocks.index(block)
        parts = split(block, self.registers)
        gone = () if parts else tuple(register for register in self.registers if block.covers(register))
        return replace(
            self,
            registers=tuple(register for register in self.registers if register not in gone),
            blocks=(*self.blocks[:place], *parts, *self.blocks[place + 1 :]),
            unsupported=(*self.unsupported, *gone),
            is_split=self.is_split or bool(parts),
        )
