"""Bytes of Modbus registers <-> exact values, without any I/O.

Contract:
- A `Layout` says how one value lies in its registers. `decode` and `encode` are inverse to each other for
  every value that the layout can hold.
- Values are exact: integers as `int`, the decimal exponent types as `Decimal`, IEEE floats as `float` (each
  finite float is exactly one number; `as_integer_ratio` gives it). Nothing is scaled or rounded here.
- A register that says "no value" gives an `Absent`, never a number: a marker of the meter's maker, or NaN or
  infinity. It is an outcome, not an error, since meters give it in normal operation.
- Bytes of the wrong length are a `DecodeError`.

Orders: Modbus sends each register with its high byte first (MODBUS Application Protocol V1.1b3, 4.2); makers
choose the order of registers, and some break the rule for bytes too. With ABCD as the value's bytes from high
to low: word big, byte big = AB CD; word little, byte big = CD AB; word big, byte little = BA DC; word little,
byte little = DC BA.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum, StrEnum
from functools import cache
from math import isfinite
from operator import itemgetter
from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception class, named like one

from edge.errors import DecodeError


class Encoding(StrEnum):
    """How a number is written.

    `t5` and `t6` are Iskra's measurement types: a signed 8-bit decimal exponent, then a 24-bit mantissa,
    unsigned in `t5` and signed in `t6` (value = mantissa x 10^exponent).
    """

    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    S32 = "s32"
    U64 = "u64"
    S64 = "s64"
    F32 = "f32"
    F64 = "f64"
    T5 = "t5"
    T6 = "t6"
    TEXT = "text"


class Order(StrEnum):
    """Which end comes first: `big` = the most significant."""

    BIG = "big"
    LITTLE = "little"


class Absent(Enum):
    """Why a register holds no value."""

    MARKER = "marker"
    NOT_A_NUMBER = "not a number"


#: What a register holds, exactly.
Raw = int | float | Decimal | str
#: Takes the bytes of a block and the position of the value in it.
Reader = Callable[[bytes, int], Raw | Absent]

_FORMATS = {
    Encoding.U16: "H",
    Encoding.S16: "h",
    Encoding.U32: "I",
    Encoding.S32: "i",
    Encoding.U64: "Q",
    Encoding.S64: "q",
    Encoding.F32: "f",
    Encoding.F64: "d",
    Encoding.T5: "I",
    Encoding.T6: "I",
}
_FLOATS = (Encoding.F32, Encoding.F64)
_DECIMALS = (Encoding.T5, Encoding.T6)
_SIGNED = (Encoding.S16, Encoding.S32, Encoding.S64)


@dataclass(frozen=True, slots=True)
class Layout:
    """How one value lies in registers.

    Attributes:
        encoding: How the number is written.
        word_order: Order of the registers.
        byte_order: Order of the two bytes inside a register.
        length: Registers taken by text; 0 for numbers, whose encoding tells it.
        invalid: Markers for "no value", as unsigned numbers of the value's width, in ascending order.

    Raises:
        ValueError: for a length or a marker that cannot be right.
    """

    encoding: Encoding
    word_order: Order = Order.BIG
    byte_order: Order = Order.BIG
    length: int = 0
    invalid: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        is_text = self.encoding is Encoding.TEXT
        if is_text != (self.length > 0):
            raise ValueError("a length in registers is given for text, and only for text")
        if is_text and self.invalid:
            raise ValueError("text has no invalid markers")
        object.__setattr__(self, "invalid", tuple(sorted(set(self.invalid))))
        for marker in self.invalid:
            if not 0 <= marker < 1 << (16 * self.registers):
                raise ValueError(f"invalid marker {marker:#x} does not fit {self.registers} registers")
            if self.encoding in _FLOATS and _float_of(marker, self.registers) == 0:
                raise ValueError(f"invalid marker {marker:#x} is the number 0")

    @property
    def registers(self) -> int:
        """How many registers the value takes."""
        return self.length or Struct(">" + _FORMATS[self.encoding]).size // 2

    @property
    def is_integer(self) -> bool:
        """Whether the register counts in whole units of its own."""
        return self.encoding not in (*_FLOATS, *_DECIMALS, Encoding.TEXT)


def decode(layout: Layout, data: bytes) -> Raw | Absent:
    """Return the value that the registers hold.

    Raises:
        DecodeError: when the bytes are not exactly the value's registers.
    """
    if len(data) != 2 * layout.registers:
        raise DecodeError(f"{layout.encoding} takes {2 * layout.registers} bytes, got {len(data)}")
    return compile_reader(layout)(data, 0)


@cache
def compile_reader(layout: Layout) -> Reader:
    """Return the function that reads such a value at any even position of a block's bytes.

    The reader trusts that the bytes reach: whoever has the block checks its length once.
    """
    if layout.encoding is Encoding.TEXT:
        return _text_reader(layout)
    unpack = _unpacker(layout)
    if layout.encoding in _DECIMALS:
        return _decimal_reader(layout, unpack)
    absent = frozenset(_as_written(layout, marker) for marker in layout.invalid)
    return _float_reader(unpack, absent) if layout.encoding in _FLOATS else _integer_reader(unpack, absent)


def _integer_reader(unpack: "_Unpack", absent: frozenset[int | float]) -> Reader:
    def read(data: bytes, at: int) -> Raw | Absent:
        value = unpack(data, at)
        return Absent.MARKER if value in absent else value

    return read


def _float_reader(unpack: "_Unpack", absent: frozenset[int | float]) -> Reader:
    def read(data: bytes, at: int) -> Raw | Absent:
        value = unpack(data, at)
        if value in absent:
            return Absent.MARKER
        return value if isfinite(value) else Absent.NOT_A_NUMBER

    return read


def _decimal_reader(layout: Layout, unpack: "_Unpack") -> Reader:
    sign_bit = 1 << 23 if layout.encoding is Encoding.T6 else 0
    absent = frozenset(layout.invalid)

    def read(data: bytes, at: int) -> Raw | Absent:
        bits = int(unpack(data, at))
        if bits in absent:
            return Absent.MARKER
        exponent, mantissa = bits >> 24, bits & 0xFFFFFF
        if mantissa & sign_bit:
            mantissa -= 1 << 24
        return Decimal(mantissa).scaleb(exponent - 256 if exponent > 127 else exponent)  # noqa: PLR2004 - signed byte

    return read


def _text_reader(layout: Layout) -> Reader:
    size = 2 * layout.length
    reorder = _permutation(layout)

    def read(data: bytes, at: int) -> Raw | Absent:
        raw = bytes(reorder(data[at : at + size]))
        # Some meters put one character into each register, so zeros stand between them as well as behind.
        text = raw.replace(b"\0", b"").decode("ascii", errors="replace").strip()
        return text or Absent.MARKER

    return read


_Unpack = Callable[[bytes, int], int | float]


def _unpacker(layout: Layout) -> _Unpack:
    """Return what reads the number's bits, in the layout's orders."""
    code = _FORMATS[layout.encoding]
    one_word = layout.registers == 1
    if layout.byte_order is layout.word_order or (one_word and layout.byte_order is Order.BIG):
        straight = Struct((">" if layout.byte_order is Order.BIG else "<") + code).unpack_from
        return lambda data, at: straight(data, at)[0]
    reorder, size = _permutation(layout), 2 * layout.registers
    unpack = Struct(">" + code).unpack
    return lambda data, at: unpack(bytes(reorder(data[at : at + size])))[0]


def _permutation(layout: Layout) -> Callable[[bytes], tuple[int, ...]]:
    """Return what puts the bytes as sent into the order high to low, and the other way round."""
    words = range(layout.registers)
    if layout.word_order is Order.LITTLE:
        words = words[::-1]
    inside = (0, 1) if layout.byte_order is Order.BIG else (1, 0)
    return itemgetter(*(2 * word + byte for word in words for byte in inside))


def _as_written(layout: Layout, marker: int) -> int | float:
    if layout.encoding in _FLOATS:
        return _float_of(marker, layout.registers)
    span = 1 << (16 * layout.registers)
    is_negative = layout.encoding in _SIGNED and 2 * marker >= span
    return marker - span if is_negative else marker


def _float_of(bits: int, registers: int) -> float:
    code = "f" if registers == Struct(">f").size // 2 else "d"
    return float(Struct(">" + code).unpack(bits.to_bytes(2 * registers, "big"))[0])


def encode(layout: Layout, value: Raw | Absent) -> bytes:
    """Return the registers that hold a value; what a simulated meter answers.

    Args:
        layout: How the value is written.
        value: A value of the layout's kind. Floats are rounded to the nearest that the encoding has, decimals
            to its 24-bit mantissa. `Absent` gives the first marker, or NaN.

    Raises:
        ValueError: when the value does not fit, or the layout has no way to say "no value".
    """
    if isinstance(value, Absent):
        raw = _absent_bytes(layout)
    elif layout.encoding is Encoding.TEXT:
        raw = str(value).encode("ascii").ljust(2 * layout.length, b"\0")
    else:
        raw = _number_bytes(layout, value)
    if len(raw) != 2 * layout.registers:
        raise ValueError(f"{value!r} does not fit {layout.registers} registers")
    return bytes(_permutation(layout)(raw))


def _absent_bytes(layout: Layout) -> bytes:
    if layout.invalid:
        return layout.invalid[0].to_bytes(2 * layout.registers, "big")
    if layout.encoding in _FLOATS:
        return Struct(">" + _FORMATS[layout.encoding]).pack(float("nan"))
    raise ValueError(f"a {layout.encoding} without a marker cannot say that it has no value")


def _number_bytes(layout: Layout, value: Raw) -> bytes:
    number: int | float | Decimal
    if layout.encoding in _DECIMALS:
        number = _decimal_bits(Decimal(value), signed=layout.encoding is Encoding.T6)
    elif layout.encoding in _FLOATS:
        number = float(value)
    else:
        number = int(value)
        if number != value:
            raise ValueError(f"{value!r} is not a whole number")
    try:
        return Struct(">" + _FORMATS[layout.encoding]).pack(number)
    except (StructError, OverflowError) as error:
        raise ValueError(f"{value!r} does not fit {layout.encoding}: {error}") from error


def _decimal_bits(value: Decimal, *, signed: bool) -> int:
    """Return the 32 bits of a T5 or T6 value with as many digits as the mantissa takes."""
    limit = 1 << 23 if signed else 1 << 24
    exponent = int(value.as_tuple().exponent)
    while True:
        mantissa = int(value.scaleb(-exponent).to_integral_value(rounding=ROUND_HALF_EVEN))
        if -limit <= mantissa < limit:
            break
        exponent += 1
    if not -128 <= exponent <= 127 or (mantissa < 0 and not signed):  # noqa: PLR2004 - signed byte
        raise ValueError(f"{value} cannot be written as {'t6' if signed else 't5'}")
    return (exponent & 0xFF) << 24 | mantissa & 0xFFFFFF
