"""Answers of a meter -> values in base units. Pure; compiled once per meter, then cheap.

Rules:
- A gauge becomes a float of its base unit. One read from a 32-bit float gets the 7 significant digits that
  such a float has (230.2, not 230.20001220703125): the message is a good deal shorter.
- A counter becomes a whole number of its base unit, rounded **once**, half to even, from the exact product of
  raw value, scale and ratios. Rounding is monotone: what does not fall at the meter does not fall here.
- No value is ever made up: a marker or NaN gives `None` and `ReadingFlag.INVALID`, a value outside its
  quantity's range `None` and `IMPLAUSIBLE`, a block without an answer `None` and `PARTIAL`. The other values
  of the row stay good.
- Bytes of the wrong length are a `DecodeError` for the whole answer.

What transformers and direction do to a value stands in `edge.drivers.wiring`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from sys import float_info
from types import MappingProxyType

from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Register, RegisterSpec
from edge.drivers.modbus.registers import Absent, Encoding, Raw, Reader, compile_reader
from edge.drivers.modbus.scale import NOTHING_FOUND, Found, scale_factor
from edge.drivers.wiring import Wiring
from edge.errors import DecodeError
from metering.messages.birth import CounterFacts
from metering.quantities import COUNTER_LIMIT, VOCABULARY
from metering.readings import ReadingFlag, Value

_DIRECT = Wiring()


@dataclass(frozen=True, slots=True)
class Decoded:
    """One poll's values, in the order of the decoder's quantities, and what was wrong with them."""

    values: tuple[Value, ...]
    quality: ReadingFlag


@dataclass(frozen=True, slots=True)
class _Step:
    """One value's way: bytes -> raw -> base unit -> range."""

    block: int
    at: int
    read: Reader
    convert: Callable[[int | float | Decimal], int | float]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Decoder:
    """Turns a meter's answers into values.

    Attributes:
        quantities: What the values are, one each.
        counters: Step and modulus of each counter in base units, after ratios; for the birth.
        blocks: What must be asked.
        counter_blocks: Those that carry counters: a row is stamped when the last of them is answered.
    """

    quantities: tuple[str, ...]
    counters: Mapping[str, CounterFacts]
    blocks: tuple[Block, ...]
    counter_blocks: tuple[Block, ...]
    _steps: tuple[_Step, ...] = field(repr=False)

    def decode(self, answers: Mapping[Block, bytes]) -> Decoded:
        """Return the values in these answers; a block that is missing was not answered.

        Raises:
            DecodeError: when an answer does not have the length of its block.
        """
        data = [_checked(block, answers.get(block)) for block in self.blocks]
        values: list[Value] = []
        quality = 0
        for step in self._steps:
            answer = data[step.block]
            value, flag = (None, _PARTIAL) if answer is None else _value(step, answer)
            values.append(value)
            quality |= flag
        return Decoded(tuple(values), ReadingFlag(quality))


# Plain numbers: `|=` on an IntFlag member costs microseconds per value.
_PARTIAL = int(ReadingFlag.PARTIAL)
_INVALID = int(ReadingFlag.INVALID)
_IMPLAUSIBLE = int(ReadingFlag.IMPLAUSIBLE)


def _value(step: _Step, answer: bytes) -> tuple[Value, int]:
    raw = step.read(answer, step.at)
    if isinstance(raw, Absent | str):
        return None, _INVALID
    value = step.convert(raw)
    return (value, 0) if step.low <= value <= step.high else (None, _IMPLAUSIBLE)


def _checked(block: Block, answer: bytes | None) -> bytes | None:
    if answer is not None and len(answer) != block.size:
        raise DecodeError(
            f"{block.count} registers at {block.address} give {block.size} bytes, got {len(answer)}"
        )
    return answer


def compile_decoder(
    specs: Sequence[RegisterSpec],
    blocks: Sequence[Block],
    *,
    wiring: Wiring = _DIRECT,
    setup: Found = NOTHING_FOUND,
) -> Decoder:
    """Prepare decoding for one meter; again after each connect and each change of its blocks.

    Args:
        specs: The channel's registers. Those in no block (unsupported by this meter) are left out.
        blocks: What is asked; see `edge.drivers.modbus.plan`.
        wiring: Transformers and direction.
        setup: What the profile's `setup_registers` were found to hold.

    Raises:
        ImplausibleValue: when a scale register was not read or holds what its table does not know.
    """
    located = [(spec, place) for spec in specs if (place := _place(spec, blocks)) is not None]
    factors = {spec: scale_factor(spec.scale, setup) * wiring.ratio(spec.quantity) for spec, _ in located}
    carriers = {place for spec, place in located if spec.is_counter}
    return Decoder(
        quantities=tuple(wiring.named(spec.quantity) for spec, _ in located),
        counters=MappingProxyType(
            {
                wiring.named(spec.quantity): _counter_facts(spec, factors[spec])
                for spec, _ in located
                if spec.is_counter
            }
        ),
        blocks=tuple(blocks),
        counter_blocks=tuple(blocks[place] for place in sorted(carriers)),
        _steps=tuple(
            _step(
                spec,
                -factors[spec] if spec.directed and wiring.is_reversed else factors[spec],
                block=place,
                at=2 * (spec.register.address - blocks[place].address),
            )
            for spec, place in located
        ),
    )


def _place(spec: RegisterSpec, blocks: Sequence[Block]) -> int | None:
    return next((i for i, block in enumerate(blocks) if block.covers(spec.register)), None)


def _counter_facts(spec: RegisterSpec, factor: Fraction) -> CounterFacts:
    modulus = None if spec.modulus is None else float(spec.modulus * factor)
    return CounterFacts(step=float(spec.step * factor), modulus=modulus)


def _step(spec: RegisterSpec, factor: Fraction, *, block: int, at: int) -> _Step:
    is_short = spec.register.layout.encoding is Encoding.F32
    gauge = _short_gauge(factor) if is_short else _gauge(factor)
    convert = _counter(factor) if spec.is_counter else gauge
    low, high = _range(spec)
    return _Step(block, at, compile_reader(spec.register.layout), convert, low, high)


def _range(spec: RegisterSpec) -> tuple[float, float]:
    """Return what is plausible; of a park's own quantities only ingest knows more than what can be stored."""
    known = VOCABULARY.get(spec.quantity)
    if known is not None:
        return known.low, known.high
    return (0.0, COUNTER_LIMIT) if spec.is_counter else (-float_info.max, float_info.max)


def _gauge(factor: Fraction) -> Callable[[int | float | Decimal], float]:
    up, down = factor.numerator, factor.denominator

    def convert(raw: float | Decimal) -> float:
        # Whole numbers stay exact up to the one division; adding 0.0 turns -0.0 into 0.0.
        return float(raw * up / down) + 0.0

    return convert


def _short_gauge(factor: Fraction) -> Callable[[float | Decimal], float]:
    exact = _gauge(factor)

    def convert(raw: float | Decimal) -> float:
        return float(f"{exact(raw):.7g}")

    return convert


def _counter(factor: Fraction) -> Callable[[int | float | Decimal], int]:
    up, down = factor.numerator, factor.denominator

    def convert(raw: float | Decimal) -> int:
        number, over = raw.as_integer_ratio()
        whole, rest = divmod(number * up, over * down)
        twice = 2 * rest
        return whole + (twice > over * down or (twice == over * down and whole & 1))

    return convert


def read_registers(registers: Iterable[Register], answers: Mapping[Block, bytes]) -> Found:
    """Return what single registers hold: scale registers, identity, serial number.

    Registers that no answer covers are left out.

    Raises:
        DecodeError: when an answer does not have the length of its block.
    """
    found: dict[Register, Raw | Absent] = {}
    for register in registers:
        for block, answer in answers.items():
            if block.covers(register):
                _checked(block, answer)
                read = compile_reader(register.layout)
                found[register] = read(answer, 2 * (register.address - block.address))
                break
    return MappingProxyType(found)
