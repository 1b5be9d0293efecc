"""From answers to values: exact counters, honest gaps, transformers and direction."""

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.catalogue import models as catalogue
from edge.drivers.modbus.decode import compile_decoder, read_registers
from edge.drivers.modbus.plan import Block, plan
from edge.drivers.modbus.profile import Function, Register, RegisterSpec, Scale
from edge.drivers.modbus.registers import Absent, Encoding, Layout, encode
from edge.drivers.modbus.scale import raw_value, scale_factor
from edge.drivers.wiring import Wiring
from edge.errors import DecodeError, ImplausibleValue
from metering.messages.birth import CounterFacts
from metering.readings import ReadingFlag

INPUT = Function.INPUT


def spec(
    quantity: str,
    address: int,
    encoding: str = "f32",
    *,
    scale: str = "1",
    is_counter: bool = False,
    directed: bool = False,
    modulus: int | None = None,
) -> RegisterSpec:
    return RegisterSpec(
        quantity,
        Register(INPUT, address, Layout(Encoding(encoding))),
        Scale(Fraction(scale)),
        modulus=None if modulus is None else Fraction(modulus),
        is_counter=is_counter,
        directed=directed,
    )


def decode_one(one: RegisterSpec, data: bytes, wiring: Wiring | None = None) -> tuple[object, ReadingFlag]:
    block = Block(INPUT, one.register.address, one.register.count)
    decoded = compile_decoder([one], [block], wiring=wiring or Wiring()).decode({block: data})
    return decoded.values[0], decoded.quality


@pytest.mark.parametrize(
    ("raw", "scale", "ct", "expected"),
    [
        (123456789, "0.01", "1", 1234568),  # 1234567.89
        (5, "0.1", "1", 0),  # a tie goes to the even neighbour: 0.5 -> 0
        (15, "0.1", "1", 2),  # 1.5 -> 2
        (25, "0.1", "1", 2),  # 2.5 -> 2
        (1, "0.1", "50", 5),  # the ratio is applied before rounding
        (333, "0.01", "100/3", 111),
        (2**32 - 1, "10", "1", 42949672950),
        (7, "1", "250/3", 583),  # 583.33
    ],
)
def test_counters_are_rounded_once_from_exact_products(raw: int, scale: str, ct: str, expected: int) -> None:
    one = spec("energy_import_wh", 0, "u32", scale=scale, is_counter=True)

    value, quality = decode_one(one, raw.to_bytes(4, "big"), Wiring(ct=Fraction(ct)))

    assert value == expected
    assert isinstance(value, int)
    assert not quality


@pytest.mark.parametrize("is_counter", [True, False])
def test_what_cannot_be_stored_of_a_parks_own_quantity_is_implausible(*, is_counter: bool) -> None:
    # JSON has no integer so large and no infinity: a message with one could not be built.
    one = spec("paint_kg", 0, "f64", scale="1000", is_counter=is_counter)

    assert decode_one(one, struct.pack(">d", 1.7e308)) == (None, ReadingFlag.IMPLAUSIBLE)
    assert decode_one(one, struct.pack(">d", 12.5)) == (12500, ReadingFlag(0))


def test_a_double_counter_is_exact_where_floats_are_not() -> None:
    # 0.1 + 0.2 kWh as the meter has it is a little over 0.3; times 1000 in floats would be 300.00000000000006.
    one = spec("energy_import_wh", 0, "f64", scale="1000", is_counter=True)

    assert decode_one(one, struct.pack(">d", 0.1 + 0.2))[0] == 300
    assert decode_one(one, struct.pack(">d", 9007199254740.5))[0] == 9007199254740500


@given(st.lists(st.integers(0, 2**53 // 1000), min_size=2, max_size=20), st.fractions(Fraction(1, 7), 1000))
def test_what_does_not_fall_at_the_meter_does_not_fall_here(raws: list[int], ct: Fraction) -> None:
    one = spec("energy_import_wh", 0, "u64", is_counter=True)
    values = [decode_one(one, raw.to_bytes(8, "big"), Wiring(ct=ct))[0] for raw in sorted(raws)]

    readable = [value for value in values if isinstance(value, int)]
    assert len(readable) == len(raws), "none of them is above what can be kept exactly"
    assert readable == sorted(readable)


def test_gauges_scale_exactly_and_short_floats_stay_short() -> None:
    assert decode_one(spec("voltage_l1_v", 0, "u16", scale="0.1"), (2304).to_bytes(2, "big"))[0] == 230.4
    assert decode_one(spec("voltage_l1_v", 0), struct.pack(">f", 230.2))[0] == 230.2
    assert decode_one(spec("active_power_w", 0, scale="1000"), struct.pack(">f", 1.2345))[0] == 1234.5
    value, _ = decode_one(spec("voltage_l1_v", 0, "u16"), (230).to_bytes(2, "big"))
    assert isinstance(value, float)


def test_a_turned_zero_is_a_plain_zero() -> None:
    one = spec("active_power_w", 0, "s32", directed=True)

    assert str(decode_one(one, bytes(4), Wiring(is_reversed=True))[0]) == "0.0"


@pytest.mark.parametrize(
    ("one", "data", "flag"),
    [
        (spec("voltage_l1_v", 0), struct.pack(">f", float("nan")), ReadingFlag.INVALID),
        (spec("voltage_l1_v", 0), struct.pack(">f", float("inf")), ReadingFlag.INVALID),
        (spec("voltage_l1_v", 0), struct.pack(">f", -1.0), ReadingFlag.IMPLAUSIBLE),
        (spec("frequency_hz", 0), struct.pack(">f", 0.0), ReadingFlag.IMPLAUSIBLE),
        (spec("frequency_hz", 0, "f64"), struct.pack(">d", 1e308), ReadingFlag.IMPLAUSIBLE),
        (spec("active_power_w", 0, "t6"), bytes.fromhex("7f7fffff"), ReadingFlag.IMPLAUSIBLE),
        (
            spec("energy_import_wh", 0, "s32", is_counter=True),
            struct.pack(">i", -5),
            ReadingFlag.IMPLAUSIBLE,
        ),
        (spec("energy_import_wh", 0, "u64", is_counter=True), b"\xff" * 8, ReadingFlag.IMPLAUSIBLE),
        (
            spec("energy_import_wh", 0, "f64", is_counter=True),
            struct.pack(">d", 1e300),
            ReadingFlag.IMPLAUSIBLE,
        ),
    ],
)
def test_what_must_not_be_believed_is_nothing_and_says_why(
    one: RegisterSpec, data: bytes, flag: ReadingFlag
) -> None:
    assert decode_one(one, data) == (None, flag)


def test_one_bad_value_does_not_taint_the_others_and_a_missing_block_is_partial() -> None:
    specs = [
        spec("voltage_l1_v", 0),
        spec("voltage_l2_v", 2),
        spec("energy_import_wh", 50, "u32", is_counter=True),
    ]
    first, second = Block(INPUT, 0, 4), Block(INPUT, 50, 2)
    decoder = compile_decoder(specs, [first, second])
    answers = {first: struct.pack(">2f", float("nan"), 231.5), second: struct.pack(">I", 77)}

    whole, partly, nothing = (
        decoder.decode(answers),
        decoder.decode({second: answers[second]}),
        decoder.decode({}),
    )

    assert whole.values == (None, 231.5, 77)
    assert whole.quality == ReadingFlag.INVALID
    assert partly.values == (None, None, 77)
    assert partly.quality == ReadingFlag.PARTIAL
    assert nothing.values == (None, None, None)
    assert nothing.quality == ReadingFlag.PARTIAL


def test_a_row_is_stamped_by_the_blocks_that_carry_counters() -> None:
    specs = [spec("voltage_l1_v", 0), spec("energy_import_wh", 50, "u32", is_counter=True)]

    decoder = compile_decoder(specs, [Block(INPUT, 0, 2), Block(INPUT, 50, 2)])

    assert decoder.counter_blocks == (Block(INPUT, 50, 2),)


def test_an_answer_of_the_wrong_length_is_refused_whole() -> None:
    block = Block(INPUT, 0, 2)
    decoder = compile_decoder([spec("voltage_l1_v", 0)], [block])

    for wrong in (b"", bytes(3), bytes(6)):
        with pytest.raises(DecodeError, match=f"give 4 bytes, got {len(wrong)}"):
            decoder.decode({block: wrong})


def test_quantities_in_no_block_are_left_out() -> None:
    decoder = compile_decoder([spec("voltage_l1_v", 0), spec("voltage_l2_v", 2)], [Block(INPUT, 2, 2)])

    assert decoder.quantities == ("voltage_l2_v",)


def test_ratios_multiply_what_goes_through_the_transformers() -> None:
    wiring = Wiring(ct=Fraction(250, 5), vt=Fraction(20000, 100))
    quantities = {
        "current_l1_a": 50.0,
        "voltage_l1_v": 200.0,
        "active_power_w": 10000.0,
        "reactive_power_var": 10000.0,
        "apparent_power_va": 10000.0,
        "power_factor": 1.0,
        "humidity": 1.0,
    }

    for quantity, factor in quantities.items():
        assert decode_one(spec(quantity, 0, "u16"), b"\0\1", wiring)[0] == factor, quantity
    counter = spec("energy_import_wh", 0, "u32", is_counter=True)
    assert decode_one(counter, b"\0\0\0\1", wiring)[0] == 10000
    water = spec("volume_l", 0, "u32", is_counter=True)
    assert decode_one(water, b"\0\0\0\1", wiring)[0] == 1


def test_steps_and_moduli_follow_scale_and_ratio() -> None:
    one = spec("energy_import_wh", 0, "u32", scale="0.1", is_counter=True, modulus=10**8)

    decoder = compile_decoder([one], [Block(INPUT, 0, 2)], wiring=Wiring(ct=Fraction(50)))

    assert decoder.counters == {"energy_import_wh": CounterFacts(step=5.0, modulus=5e8)}


def test_a_reversed_meter_swaps_counters_and_turns_what_has_a_direction() -> None:
    specs = [
        spec("energy_import_wh", 0, "u16", is_counter=True),
        spec("energy_export_wh", 1, "u16", is_counter=True),
        spec("active_power_w", 2, "s16", directed=True),
        spec("current_l1_a", 3, "u16"),
        spec("apparent_power_va", 4, "u16"),
    ]
    block = Block(INPUT, 0, 5)

    decoder = compile_decoder(specs, [block], wiring=Wiring(is_reversed=True))
    decoded = decoder.decode({block: struct.pack(">HHhHH", 11, 22, -33, 44, 55)})

    assert dict(zip(decoder.quantities, decoded.values, strict=True)) == {
        "energy_export_wh": 11,
        "energy_import_wh": 22,
        "active_power_w": 33.0,
        "current_l1_a": 44.0,
        "apparent_power_va": 55.0,
    }


def test_a_meter_that_only_counts_import_gives_export_when_reversed() -> None:
    one = spec("energy_import_wh", 0, "u16", is_counter=True)

    decoder = compile_decoder([one], [Block(INPUT, 0, 1)], wiring=Wiring(is_reversed=True))

    assert decoder.quantities == ("energy_export_wh",)
    assert list(decoder.counters) == ["energy_export_wh"]


def test_a_meter_whose_scale_is_unknown_gives_nothing_rather_than_wrong_numbers() -> None:
    iskra = catalogue.load("wm3m4")
    blocks = plan((one.register for one in iskra.channel()), request_cost=30)

    with pytest.raises(ImplausibleValue, match="was not read"):
        compile_decoder(iskra.channel(), blocks)
    absent = dict.fromkeys(iskra.setup_registers, Absent.MARKER)
    with pytest.raises(ImplausibleValue, match="holds no whole number"):
        compile_decoder(iskra.channel(), blocks, setup=absent)


def test_single_registers_are_read_from_the_answers_that_hold_them() -> None:
    em340 = catalogue.load("em340")
    assert em340.identity is not None
    assert em340.serial_number is not None
    answers = {
        Block(INPUT, 0x0B, 1): (341).to_bytes(2, "big"),
        Block(INPUT, 0x5000, 7): b"BN1234567890A\0",
    }
    unknown = Register(INPUT, 9999, Layout(Encoding.U16))

    found = read_registers([em340.identity.register, em340.serial_number, unknown], answers)

    assert found == {em340.identity.register: 341, em340.serial_number: "BN1234567890A"}


def test_single_registers_are_found_wherever_they_stand_in_a_block() -> None:
    first, last = (Register(INPUT, address, Layout(Encoding.U16)) for address in (10, 13))
    block = Block(INPUT, 9, 5)
    assert read_registers([first, last], {block: struct.pack(">5H", 1, 22, 3, 4, 55)}) == {
        first: 22,
        last: 55,
    }
    with pytest.raises(DecodeError, match="5 registers at 9 give 10 bytes, got 8"):
        read_registers([first], {block: bytes(8)})


@pytest.mark.parametrize(
    "ratios", [{"ct": Fraction(0)}, {"vt": Fraction(0)}, {"ct": Fraction(-5)}, {"vt": Fraction(-1, 2)}]
)
def test_transformer_ratios_are_positive(ratios: dict[str, Fraction]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Wiring(**ratios)


@pytest.mark.parametrize("model", catalogue.model_ids())
def test_each_model_reads_back_what_a_simulated_meter_shows(model: str) -> None:
    """Values -> registers -> blocks -> values, with scale registers at their first code or exponent 1."""
    profile = catalogue.load(model)
    codes = {
        one.register: one.factors[0][0] if one.factors else 1
        for spec_ in profile.registers
        for one in spec_.scale.registers
    }
    for channel in range(1, profile.channels + 1):
        specs = profile.channel(channel)
        blocks = plan((one.register for one in specs), request_cost=30, max_registers=profile.max_registers)
        memory = bytearray(2 * 65536)
        shown = {}
        for one in specs:
            factor = scale_factor(one.scale, codes)
            shown[one.quantity] = (
                1_234_000 if one.is_counter else 0.5 if one.quantity == "power_factor" else 50.0
            )
            raw = encode(one.register.layout, raw_value(one, shown[one.quantity], factor))
            memory[2 * one.register.address : 2 * one.register.end] = raw

        decoder = compile_decoder(specs, blocks, setup=codes)
        decoded = decoder.decode({b: bytes(memory[2 * b.address : 2 * b.end]) for b in blocks})

        assert dict(zip(decoder.quantities, decoded.values, strict=True)) == pytest.approx(shown)
        assert not decoded.quality
