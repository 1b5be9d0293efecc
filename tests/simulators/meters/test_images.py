"""What a simulated meter shows is what the gateway decodes, for every model, channel and wiring."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

import pytest

from edge.catalogue.models import load, load_with, model_ids
from edge.catalogue.tables import RegisterPatch
from edge.drivers.modbus.decode import compile_decoder, read_registers
from edge.drivers.modbus.plan import Block, plan
from edge.drivers.modbus.profile import Profile, Register
from edge.drivers.wiring import Wiring
from metering.quantities import VOCABULARY
from simulators.loads.course import Flow
from simulators.meters.image import ExceptionCode, Image, Refused, Request
from simulators.meters.meter import COUNTING_STEP, SimulatedMeter

NOW_MS = 1_770_000_000_000


class Steady:
    """A flow that stands still."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    def at(self, instant_ms: int) -> Flow:
        """Return the same, whenever."""
        del instant_ms
        return self.flow


def build(profile: Profile, flow: Flow, wiring: Wiring, *, counting: bool = False) -> Image:
    phases = 3 if any(spec.quantity == "voltage_l2_v" for spec in profile.registers) else 1
    meters = {
        channel: SimulatedMeter(
            f"m{channel}",
            Steady(flow),
            medium=profile.medium,
            phases=phases,
            wiring=wiring,
            counting=counting,
        )
        for channel in range(1, profile.channels + 1)
    }
    return Image(profile, meters, serial=12345)


def ask(image: Image, blocks: Iterable[Block]) -> dict[Block, bytes]:
    return {block: image.read(request(block), NOW_MS).data for block in blocks}


def request(block: Block) -> Request:
    return Request(1, block.function, block.address, block.count)


def read(image: Image, channel: int, wiring: Wiring) -> dict[str, float | int | None]:
    profile = image.profile
    specs = profile.channel(channel)
    setup_blocks = plan(profile.setup_registers, request_cost=0)
    setup = read_registers(profile.setup_registers, ask(image, setup_blocks))
    blocks = plan([spec.register for spec in specs], request_cost=20, max_registers=profile.max_registers)
    decoder = compile_decoder(specs, blocks, wiring=wiring, setup=setup)
    found = decoder.decode(ask(image, blocks))
    assert found.quality == 0
    return dict(zip(decoder.quantities, found.values, strict=True))


WIRINGS = (
    Wiring(),
    Wiring(is_reversed=True),
    Wiring(ct=Fraction(50)),
    Wiring(ct=Fraction(60), vt=Fraction(200), is_reversed=True),
)


@pytest.mark.parametrize("wiring", WIRINGS, ids=str)
@pytest.mark.parametrize("model", model_ids())
def test_the_gateway_decodes_what_flows(model: str, wiring: Wiring) -> None:
    profile = load(model)
    wiring = wiring if profile.takes_ratios else Wiring(is_reversed=wiring.is_reversed)
    ratio = float(wiring.ct * wiring.vt)
    flow = (
        Flow(12_345.6 * ratio, 8_765_432.0 * ratio, 43_210.0 * ratio)
        if profile.takes_ratios
        else Flow(3.25, 12_345.678, 1.5)
    )
    image = build(profile, flow, wiring)
    for channel, meter in enumerate(image.meters, 1):
        decoded = read(image, channel, wiring)
        wanted = meter.values(NOW_MS)
        for quantity, value in decoded.items():
            assert value is not None
            # A register shows full steps: at most 0.1 kWh, 0.1 V or 0.1 A on the secondary side.
            step = 100 * ratio if VOCABULARY[quantity].is_counter else 0.11 * ratio
            assert value == pytest.approx(wanted[quantity], rel=1e-5, abs=step), quantity


@pytest.mark.parametrize("model", model_ids())
def test_identity_and_serial_number_can_be_read(model: str) -> None:
    profile = load(model)
    image = build(profile, Flow(0, 0, 0), Wiring())
    registers: list[Register] = []
    if profile.identity is not None:
        registers.append(profile.identity.register)
    if profile.serial_number is not None:
        registers.append(profile.serial_number)
    found = read_registers(registers, ask(image, plan(registers, request_cost=0)))
    if profile.identity is not None:
        assert found[profile.identity.register] in profile.identity.expected
    if profile.serial_number is not None:
        assert found[profile.serial_number] in (12345, "SIM12345")


@pytest.mark.parametrize("model", model_ids())
def test_any_part_of_the_registers_reads_as_the_whole_does(model: str) -> None:
    image = build(load(model), Flow(100, 200, 300), Wiring())
    for block in plan([spec.register for spec in image.profile.registers], request_cost=20):
        whole = b"".join(
            image.read(Request(1, block.function, at, 1), NOW_MS).data
            for at in range(block.address, block.end)
        )
        if block.count <= image.profile.max_registers:
            assert image.read(request(block), NOW_MS).data == whole


def test_what_is_not_there_is_refused() -> None:
    image = build(load("eastron-sdm120"), Flow(0, 0, 0), Wiring())
    cases = [
        (Request(1, 4, 0x48, 0), ExceptionCode.ILLEGAL_VALUE),
        (Request(1, 4, 0, 61), ExceptionCode.ILLEGAL_VALUE),
        (Request(1, 4, 60_000, 2), ExceptionCode.ILLEGAL_ADDRESS),
        (Request(1, 6, 0, 1), ExceptionCode.ILLEGAL_FUNCTION),
    ]
    for asked, code in cases:
        with pytest.raises(Refused) as refused:
            image.read(asked, NOW_MS)
        assert refused.value.code is code


def test_in_counting_mode_each_answer_with_a_counter_is_one_step_further() -> None:
    profile = load("eastron-sdm120")
    image = build(profile, Flow(100, 1e6, 0), Wiring(), counting=True)
    seen = [image.read(Request(1, 4, 0x48, 2), NOW_MS).values["m1"]["energy_import_wh"] for _ in range(3)]
    image.read(Request(1, 4, 0, 2), NOW_MS)
    seen.append(image.read(Request(1, 4, 0x48, 2), NOW_MS).values["m1"]["energy_import_wh"])
    assert seen == [COUNTING_STEP, 2 * COUNTING_STEP, 3 * COUNTING_STEP, 4 * COUNTING_STEP]


def test_after_a_reset_the_counters_begin_at_zero() -> None:
    image = build(load("schneider-iem3155"), Flow(1000, 5e6, 3e6), Wiring())
    (meter,) = image.meters
    meter.reset(NOW_MS)
    decoded = read(image, 1, Wiring())
    assert decoded["energy_import_wh"] == 0
    assert decoded["active_power_w"] == pytest.approx(1000)


def test_a_counter_rolls_over_at_its_modulus() -> None:
    # int64 in Wh; say that it starts again at 100 MWh.
    profile = load_with("schneider-iem3155", {"energy_import_wh": RegisterPatch(modulus=Decimal(10**8))})
    decoded = read(build(profile, Flow(100, 100_005_000, 0), Wiring()), 1, Wiring())
    assert decoded["energy_import_wh"] == 5000
