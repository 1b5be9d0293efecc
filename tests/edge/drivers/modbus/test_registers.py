"""Register encodings against bytes written by hand or by `struct`, never by our own encoder alone."""

import math
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.modbus.registers import Absent, Encoding, Layout, Order, Raw, compile_reader, decode, encode
from edge.errors import DecodeError

BIG, LITTLE = Order.BIG, Order.LITTLE


def layout(encoding: str, words: Order = BIG, in_word: Order = BIG, *invalid: int) -> Layout:
    return Layout(Encoding(encoding), words, in_word, invalid=invalid)


@pytest.mark.parametrize(
    ("how", "data", "expected"),
    [
        (layout("u16"), "ffff", 65535),
        (layout("s16"), "ffff", -1),
        (layout("u16", BIG, LITTLE), "3412", 0x1234),
        (layout("u16", LITTLE, BIG), "1234", 0x1234),
        (layout("u32"), "1234 5678", 0x12345678),
        (layout("u32", LITTLE, BIG), "5678 1234", 0x12345678),
        (layout("u32", BIG, LITTLE), "3412 7856", 0x12345678),
        (layout("u32", LITTLE, LITTLE), "7856 3412", 0x12345678),
        (layout("s32", LITTLE, BIG), "fffe ffff", -2),
        (layout("s32"), "8000 0000", -(2**31)),
        (layout("u64"), "ffff ffff ffff fffe", 2**64 - 2),
        (layout("s64"), "ffff ffff ffff fffe", -2),
        (layout("u64", LITTLE, BIG), "0007 0005 0003 0001", 0x0001_0003_0005_0007),
        (layout("f32"), "4366 3334", 230.1999969482421875 + 2**-16),
        (layout("f32", LITTLE, BIG), "0000 c0a0", -5.0),
        # The example of the TUF-2000M manual: 36.625.
        (layout("f32", LITTLE, BIG), "806b 4212", 9601131 / 2**18),
        (layout("f64"), "3ff8 0000 0000 0000", 1.5),
        (layout("f64", LITTLE, LITTLE), "0000 0000 0000 f83f", 1.5),
        (layout("t5"), "fd03 82eb", Decimal("230.123")),
        (layout("t5"), "03ff ffff", Decimal(16777215000)),
        (layout("t6"), "ffff cfc7", Decimal("-1234.5")),
        (layout("t6"), "00ff ffff", Decimal(-1)),
        (layout("t6"), "0080 0000", Decimal(-(2**23))),
        (layout("t5"), "807f ffff", Decimal(8388607).scaleb(-128)),
    ],
)
def test_bytes_become_exactly_this_value(how: Layout, data: str, expected: Raw) -> None:
    assert decode(how, bytes.fromhex(data)) == expected


def test_text_drops_padding_and_zeros_between_characters() -> None:
    assert decode(Layout(Encoding.TEXT, length=4), b"B23 \0\0\0\0") == "B23"
    assert decode(Layout(Encoding.TEXT, length=3), b"\x001\x002\x003") == "123"
    assert decode(Layout(Encoding.TEXT, length=2), b"\0\0\0\0") is Absent.MARKER


@pytest.mark.parametrize(
    ("how", "data", "expected"),
    [
        (layout("u64", BIG, BIG, 2**64 - 1), "ffff ffff ffff ffff", Absent.MARKER),
        (layout("u64", BIG, BIG, 2**64 - 1), "ffff ffff ffff fffe", 2**64 - 2),
        (layout("s32", BIG, BIG, 0x7FFFFFFF), "7fff ffff", Absent.MARKER),
        (layout("s32", LITTLE, BIG, 0x7FFFFFFF), "ffff 7fff", Absent.MARKER),
        (layout("s16", BIG, BIG, 0x8000, 0x7FFF), "8000", Absent.MARKER),
        (layout("s16", BIG, BIG, 0x8000, 0x7FFF), "7fff", Absent.MARKER),
        (layout("t6", BIG, BIG, 0x7F7FFFFF), "7f7f ffff", Absent.MARKER),
        (layout("f32", BIG, BIG, 0xFF7FFFFF), "ff7f ffff", Absent.MARKER),
        (layout("f32"), "7fc0 0000", Absent.NOT_A_NUMBER),
        (layout("f32"), "ffc0 0000", Absent.NOT_A_NUMBER),
        (layout("f32"), "7f80 0000", Absent.NOT_A_NUMBER),
        (layout("f64", LITTLE, LITTLE), "0000 0000 0000 f0ff", Absent.NOT_A_NUMBER),
    ],
)
def test_no_value_is_an_outcome_and_never_a_number(how: Layout, data: str, expected: Raw | Absent) -> None:
    assert decode(how, bytes.fromhex(data)) == expected


@pytest.mark.parametrize("encoding", [e for e in Encoding if e is not Encoding.TEXT])
def test_wrong_length_is_a_decode_error(encoding: Encoding) -> None:
    how = Layout(encoding)
    right = bytes(2 * how.registers)

    for wrong in (b"", right[:-1], right + b"\0", right + b"\0\0"):
        with pytest.raises(DecodeError, match=f"takes {len(right)} bytes"):
            decode(how, wrong)


def test_a_reader_finds_its_value_anywhere_in_a_block() -> None:
    block = bytes.fromhex("dead beef 5678 1234 cafe")

    assert compile_reader(layout("u32", LITTLE, BIG))(block, 4) == 0x12345678
    assert compile_reader(layout("u16"))(block, 8) == 0xCAFE


def test_layouts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="only for text"):
        Layout(Encoding.TEXT)
    with pytest.raises(ValueError, match="only for text"):
        Layout(Encoding.U16, length=1)
    with pytest.raises(ValueError, match="does not fit"):
        layout("u16", BIG, BIG, 0x10000)
    with pytest.raises(ValueError, match="is the number 0"):
        layout("f32", BIG, BIG, 0x80000000)


WIDTHS = {"u16": (0, 16), "s16": (1, 16), "u32": (0, 32), "s32": (1, 32), "u64": (0, 64), "s64": (1, 64)}
ORDERS = st.sampled_from(Order)


@given(encoding=st.sampled_from(sorted(WIDTHS)), words=ORDERS, in_word=ORDERS, data=st.data())
def test_integers_come_back(encoding: str, words: Order, in_word: Order, data: st.DataObject) -> None:
    signed, bits = WIDTHS[encoding]
    low = -(1 << (bits - 1)) if signed else 0
    value = data.draw(st.integers(low, low + (1 << bits) - 1))
    how = layout(encoding, words, in_word)

    assert decode(how, encode(how, value)) == value
    if words is in_word is BIG:
        assert encode(how, value) == value.to_bytes(bits // 8, "big", signed=bool(signed))


@given(words=ORDERS, in_word=ORDERS, value=st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_come_back(words: Order, in_word: Order, value: float) -> None:
    how = layout("f64", words, in_word)

    assert decode(how, encode(how, value)) == value


@given(mantissa=st.integers(-(2**23), 2**23 - 1), exponent=st.integers(-100, 100))
def test_decimal_exponents_come_back(mantissa: int, exponent: int) -> None:
    value = Decimal(mantissa).scaleb(exponent)

    assert decode(layout("t6"), encode(layout("t6"), value)) == value
    if mantissa >= 0:
        assert decode(layout("t5"), encode(layout("t5"), value)) == value


@given(raw=st.binary(min_size=8, max_size=8), words=ORDERS, in_word=ORDERS)
def test_any_bytes_give_a_value_or_absence(raw: bytes, words: Order, in_word: Order) -> None:
    for encoding in Encoding:
        how = Layout(encoding, words, in_word, length=4 if encoding is Encoding.TEXT else 0)
        found = decode(how, raw[: 2 * how.registers])
        assert isinstance(found, Absent | int | float | Decimal | str)
        assert not (isinstance(found, float) and not math.isfinite(found))


def test_the_orders_agree_with_struct() -> None:
    straight, reverse = struct.pack(">f", 12.375), struct.pack("<f", 12.375)

    assert encode(layout("f32"), 12.375) == straight
    assert encode(layout("f32", LITTLE, LITTLE), 12.375) == reverse
    assert encode(layout("f32", LITTLE, BIG), 12.375) == straight[2:] + straight[:2]
    assert encode(layout("f32", BIG, LITTLE), 12.375) == reverse[2:] + reverse[:2]


def test_encode_says_what_does_not_fit() -> None:
    for how, value in (
        (layout("u16"), 65536),
        (layout("u16"), -1),
        (layout("u16"), 1.5),
        (layout("f32"), 1e39),
        (layout("t5"), Decimal(-1)),
        (layout("t6"), Decimal("1e140")),
        (Layout(Encoding.TEXT, length=1), "abc"),
        (layout("u16"), Absent.MARKER),
    ):
        with pytest.raises(ValueError, match=r"fit|written|whole|marker"):
            encode(how, value)


def test_encode_can_say_no_value() -> None:
    assert encode(layout("u32", LITTLE, BIG, 0x7FFFFFFF), Absent.MARKER) == bytes.fromhex("ffff7fff")
    assert decode(layout("f32"), encode(layout("f32"), Absent.NOT_A_NUMBER)) is Absent.NOT_A_NUMBER


def test_a_value_with_more_digits_than_the_mantissa_is_rounded() -> None:
    found = decode(layout("t6"), encode(layout("t6"), Decimal("-12345.678912345")))

    assert found == Decimal("-12345.68").quantize(Decimal("0.01"))
