"""The read planner: every value once, whole, in as few and cheap requests as can be."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.catalogue import models as catalogue
from edge.drivers.line_timing import LineTiming
from edge.drivers.modbus.plan import Block, ReadPlan, block_time_s, cost_of_request, plan, split
from edge.drivers.modbus.profile import Function, Register
from edge.drivers.modbus.registers import Encoding, Layout

INPUT, HOLDING = Function.INPUT, Function.HOLDING


def register(address: int, encoding: str = "f32", function: Function = INPUT) -> Register:
    return Register(function, address, Layout(Encoding(encoding)))


def test_neighbours_are_read_together_and_far_ones_apart() -> None:
    wanted = [register(0), register(2), register(4), register(500)]

    assert plan(wanted, request_cost=20) == (Block(INPUT, 0, 6), Block(INPUT, 500, 2))


def test_a_hole_is_read_along_only_where_that_is_cheaper() -> None:
    wanted = [register(0), register(12)]

    assert plan(wanted, request_cost=11) == (Block(INPUT, 0, 14),)
    assert plan(wanted, request_cost=9) == (Block(INPUT, 0, 2), Block(INPUT, 12, 2))
    assert plan(wanted, request_cost=0) == (Block(INPUT, 0, 2), Block(INPUT, 12, 2))


def test_functions_are_never_mixed() -> None:
    wanted = [register(0), register(2, function=HOLDING)]

    assert plan(wanted, request_cost=100) == (Block(HOLDING, 2, 2), Block(INPUT, 0, 2))


def test_a_value_is_never_cut_at_the_limit() -> None:
    wanted = [register(4 * n, "u64") for n in range(40)]

    blocks = plan(wanted, request_cost=20, max_registers=125)

    assert [block.count for block in blocks] in ([124, 36], [36, 124])


def test_the_cut_falls_into_the_widest_hole() -> None:
    # Filling the first block to the brim would read the hole of 20 and cut where there is none.
    wanted = [register(address) for address in (0, 2, 24, 26, 28)]

    assert plan(wanted, request_cost=30, max_registers=28) == (Block(INPUT, 0, 4), Block(INPUT, 24, 6))


def test_a_value_longer_than_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="4 registers exceeds 2"):
        plan([register(0, "u64")], request_cost=1, max_registers=2)


def test_nothing_wanted_is_nothing_read() -> None:
    assert plan([], request_cost=10) == ()


@st.composite
def register_sets(draw: st.DrawFn) -> list[Register]:
    found, address = [], draw(st.integers(0, 50))
    for _ in range(draw(st.integers(0, 25))):
        one = register(address, draw(st.sampled_from(["u16", "f32", "u64"])), draw(st.sampled_from(Function)))
        found.append(one)
        address = one.end + draw(st.sampled_from([0, 0, 0, 1, 2, 10, 40, 130]))
    return draw(st.permutations(found))


@given(wanted=register_sets(), cost=st.floats(0, 200), limit=st.integers(4, 125))
def test_every_plan_keeps_the_promises(wanted: list[Register], cost: float, limit: int) -> None:
    blocks = plan(wanted, request_cost=cost, max_registers=limit)

    for one in wanted:
        assert sum(block.covers(one) for block in blocks) == 1
    for block in blocks:
        assert block.count <= limit
        assert any(one.address == block.address for one in wanted if block.covers(one))
        assert any(one.end == block.end for one in wanted if block.covers(one))
    for before, after in pairwise(blocks):
        assert before.function < after.function or before.end <= after.address
    assert blocks == plan(wanted[::-1], request_cost=cost, max_registers=limit)


@given(wanted=register_sets(), cost=st.floats(0, 200), limit=st.integers(4, 125))
def test_no_plan_costs_more_than_single_reads_or_greedy_ones(
    wanted: list[Register], cost: float, limit: int
) -> None:
    def price(blocks: list[Block]) -> float:
        return sum(cost + block.count for block in blocks)

    singles = [Block(one.function, one.address, one.count) for one in wanted]
    greedy: list[Block] = []
    for one in sorted(wanted, key=lambda r: (r.function, r.address)):
        last = greedy[-1] if greedy else None
        if last and last.function is one.function and one.end - last.address <= limit:
            greedy[-1] = Block(last.function, last.address, one.end - last.address)
        else:
            greedy.append(Block(one.function, one.address, one.count))

    ours = price(list(plan(wanted, request_cost=cost, max_registers=limit)))

    assert ours <= min(price(singles), price(greedy)) + 1e-6


def test_a_hole_never_reads_what_is_to_be_avoided() -> None:
    wanted, lacking = [register(0), register(12)], register(4)

    assert plan(wanted, request_cost=11, avoid=[lacking]) == (Block(INPUT, 0, 2), Block(INPUT, 12, 2))
    assert plan(wanted, request_cost=11, avoid=[register(4, function=HOLDING)]) == (Block(INPUT, 0, 14),)


@given(wanted=register_sets(), cost=st.floats(0, 200), data=st.data())
def test_what_is_avoided_is_in_no_block_and_all_else_is_read(
    wanted: list[Register], cost: float, data: st.DataObject
) -> None:
    avoided = data.draw(st.sets(st.sampled_from(wanted), max_size=3)) if wanted else set()

    whole = ReadPlan.of(wanted, request_cost=cost, avoid=avoided)

    assert not any(block.covers(one) for block in whole.blocks for one in avoided)
    for one in set(wanted) - avoided:
        assert sum(block.covers(one) for block in whole.blocks) == 1


def test_a_refused_block_gives_up_its_holes_first_then_is_halved() -> None:
    wanted = [register(0), register(2), register(10), register(12)]

    runs = split(Block(INPUT, 0, 14), wanted)
    halves = split(runs[0], wanted)

    assert runs == (Block(INPUT, 0, 4), Block(INPUT, 10, 4))
    assert halves == (Block(INPUT, 0, 2), Block(INPUT, 2, 2))
    assert split(halves[0], wanted) == ()


@given(wanted=register_sets(), missing=st.data())
def test_a_meter_without_some_registers_is_still_read(wanted: list[Register], missing: st.DataObject) -> None:
    """A meter that refuses every block touching a register it lacks: the others are all found."""
    holes = missing.draw(st.sets(st.sampled_from(wanted), max_size=3)) if wanted else set()
    whole = ReadPlan.of(wanted, request_cost=60)
    for _ in range(1000):
        refused = [b for b in whole.blocks if any(b.covers(r) for r in holes)]
        if not refused:
            break
        whole = whole.refused(refused[0])

    assert set(whole.unsupported) == holes
    assert set(whole.registers) == set(wanted) - holes
    for one in whole.registers:
        assert sum(block.covers(one) for block in whole.blocks) == 1


def test_one_missing_register_costs_few_more_requests() -> None:
    wanted = [register(2 * n) for n in range(32)]
    lacking = wanted[13]
    whole = ReadPlan.of(wanted, request_cost=60)
    asked = 0
    while refused := [block for block in whole.blocks if block.covers(lacking)]:
        whole = whole.refused(refused[0])
        asked += 1

    assert asked == 6
    assert len(whole.blocks) == 5


def test_time_on_a_serial_line_follows_the_guide() -> None:
    # 13 characters of frame and 2 per register, each of 11 bits, two silences of 3.5 characters.
    line = LineTiming.serial(baud=9600, parity="E")

    time_s = block_time_s(Block(INPUT, 0, 10), line, answer_delay_s=0.05)

    assert time_s == pytest.approx((13 + 20 + 7) * 11 / 9600 + 0.05)
    assert LineTiming.serial(baud=38400).silence_s == 0.00175
    assert LineTiming.serial(baud=9600, parity="N").bits_per_char == 10
    assert LineTiming.serial(baud=9600, parity="N", stop_bits=2).bits_per_char == 11


def test_a_request_is_worth_the_registers_that_fit_into_its_time() -> None:
    line = LineTiming.serial(baud=9600, parity="N")

    cost = cost_of_request(line, answer_delay_s=0.05)

    one = block_time_s(Block(INPUT, 0, 1), line, answer_delay_s=0.05)
    more = block_time_s(Block(INPUT, 0, 1 + 40), line, answer_delay_s=0.05)
    assert (more - one) / 40 * cost == pytest.approx(one - (more - one) / 40)


def test_network_time_is_round_trip_and_delay() -> None:
    line = LineTiming.network(latency_s=0.003)

    assert block_time_s(Block(INPUT, 0, 125), line, answer_delay_s=0.02) == pytest.approx(0.023)
    assert cost_of_request(line) > 0


@pytest.mark.parametrize(("address", "count"), [(0, 0), (0, 126), (-1, 1), (65535, 2)])
def test_blocks_that_no_meter_can_answer_are_refused(address: int, count: int) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        Block(INPUT, address, count)


@pytest.mark.parametrize("model", catalogue.model_ids())
def test_each_model_takes_few_requests(model: str) -> None:
    profile = catalogue.load(model)
    line = LineTiming.serial(baud=9600)

    blocks = plan(
        (spec.register for spec in profile.channel()),
        request_cost=cost_of_request(line, answer_delay_s=profile.answer_delay_s),
        max_registers=profile.max_registers,
    )

    assert len(blocks) <= 3
    assert all(block.count <= profile.max_registers for block in blocks)
