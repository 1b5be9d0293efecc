"""The line on real sockets: Modbus TCP, and RTU over TCP with answers that come late."""

import asyncio
import time
from collections import Counter

import pytest

from edge.drivers.modbus.bus import Bus
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Function
from edge.drivers.settings import BusConfig, RtuOverTcp, Tcp
from edge.errors import GarbledAnswer, LineDown, MeterRefused, NoAnswer
from tests.edge.drivers.modbus.late_answers import HIGH, LOW, ask_in_turn
from tests.peers.modbus_meters import Meters, content, modbus_tcp, rtu_over_tcp


def tcp(port: int, **changes: float) -> BusConfig:
    return BusConfig("main", Tcp("127.0.0.1", port), **{"timeout_s": 0.2, **changes})


def converter(port: int, **changes: float) -> BusConfig:
    way = RtuOverTcp("127.0.0.1", port, baud=115200)
    return BusConfig("conv", way, **{"timeout_s": 0.1, "late_window_s": 0.3, **changes})


@pytest.mark.parametrize("function", Function)
async def test_registers_come_as_they_are_on_the_wire(function: Function) -> None:
    async with modbus_tcp(Meters()) as port, Bus(tcp(port)) as bus:
        await bus.connect()
        assert await bus.read(3, Block(function, 7, 125)) == content(3, 7, 125)


async def test_a_refusal_is_the_meters_own_and_says_whether_it_is_for_ever() -> None:
    async with modbus_tcp(Meters(refusals={5: 2, 6: 6})) as port, Bus(tcp(port)) as bus:
        await bus.connect()
        with pytest.raises(MeterRefused, match="ILLEGAL_DATA_ADDRESS") as refused:
            await bus.read(1, Block(Function.INPUT, 5, 2))
        assert not refused.value.is_busy
        assert not refused.value.transient
        with pytest.raises(MeterRefused, match="BUSY") as busy:
            await bus.read(1, Block(Function.INPUT, 6, 2))
        assert busy.value.is_busy
        assert busy.value.transient


async def test_a_gateway_that_got_no_answer_means_a_silent_meter() -> None:
    async with modbus_tcp(Meters(refusals={5: 11})) as port, Bus(tcp(port)) as bus:
        await bus.connect()
        with pytest.raises(NoAnswer, match="the Modbus gateway in between reports"):
            await bus.read(1, Block(Function.INPUT, 5, 2))


async def test_a_cancellation_is_heeded_even_at_the_instant_of_the_answer() -> None:
    async with modbus_tcp(Meters()) as port, Bus(tcp(port)) as bus:
        await bus.connect()
        ended = Counter[str]()
        for turns in range(40):
            task = asyncio.create_task(bus.read(1, LOW))
            for _ in range(turns):
                await asyncio.sleep(0)
            was_done = task.done()
            task.cancel()
            await asyncio.wait([task])
            assert was_done or task.cancelled(), f"lost after {turns} turns of the loop"
            ended["before" if was_done else "cancelled"] += 1
        assert ended["before"]
        assert ended["cancelled"]


async def test_nobody_listening_says_why() -> None:
    async with modbus_tcp(Meters()) as port:
        pass
    async with Bus(tcp(port)) as bus:
        with pytest.raises(LineDown, match=rf"tcp 127\.0\.0\.1:{port}: .*[Rr]efused|Connect call failed"):
            await bus.connect()
        with pytest.raises(LineDown, match="not connected"):
            await bus.read(1, LOW)


async def test_a_lost_connection_ends_the_request_at_once_and_can_be_made_again() -> None:
    async with Bus(tcp(0)) as never:
        assert never.allowed_at_s(1) < time.monotonic()
    async with modbus_tcp(Meters(mute={1})) as port:
        bus = Bus(tcp(port, timeout_s=30))
        await bus.connect()
        pending = asyncio.ensure_future(bus.read(1, LOW))
        await asyncio.sleep(0.05)
    with pytest.raises(LineDown, match="connection lost"):
        await asyncio.wait_for(pending, timeout=10)
    async with modbus_tcp(Meters(), port=port), bus:
        await bus.connect()
        assert await bus.read(1, LOW) == content(1, 100, 10)


async def test_silence_does_not_close_the_connection_for_the_others() -> None:
    async with modbus_tcp(Meters(mute={1})) as port, Bus(tcp(port, timeout_s=0.02)) as bus:
        await bus.connect()
        for _ in range(8):
            with pytest.raises(NoAnswer):
                await bus.read(1, LOW)
            assert await bus.read(2, LOW) == content(2, 100, 10)


async def test_on_tcp_a_late_answer_is_told_by_its_transaction() -> None:
    late: list[int] = []
    meters = Meters(delay_s={1: 0.15})
    async with modbus_tcp(meters) as port, Bus(tcp(port, timeout_s=0.1), on_late=late.append) as bus:
        await bus.connect()
        with pytest.raises(NoAnswer):
            await bus.read(1, LOW)
        with pytest.raises(NoAnswer):
            await bus.read(1, HIGH)
        meters.delay_s.clear()
        assert await bus.read(1, HIGH) == content(1, 110, 10)
        assert late.count(1) >= 1


@pytest.mark.parametrize(
    ("what", "tamper"),
    [
        ("another length", lambda raw: raw[:4] + b"\0\5" + raw[6:8] + b"\2" + raw[9:11]),
        ("another function", lambda raw: raw[:7] + b"\4" + raw[8:]),
        ("another unit", lambda raw: raw[:6] + b"\x09" + raw[7:]),
        ("another transaction", lambda raw: b"\0\0" + raw[2:]),
        ("another protocol", lambda raw: raw[:2] + b"\0\1" + raw[4:]),
        ("half a frame", lambda raw: raw[: len(raw) // 2]),
    ],
)
async def test_what_is_no_answer_to_the_request_is_refused(what: str, tamper: object) -> None:
    meters = Meters(tamper=tamper)  # type: ignore[arg-type]
    async with modbus_tcp(meters) as port, Bus(tcp(port)) as bus:
        await bus.connect()
        with pytest.raises((GarbledAnswer, NoAnswer)):
            await bus.read(1, LOW)
        meters.tamper = bytes
        assert await bus.read(1, HIGH) == content(1, 110, 10), what


async def answers_late(delay_s: float) -> Counter[str]:
    meters = Meters(delay_s={1: delay_s, 2: 0.01})
    async with rtu_over_tcp(meters) as port, Bus(converter(port)) as bus:
        return await ask_in_turn(bus, slow=1, quick=2)


async def test_over_a_converter_no_late_answer_is_taken_for_the_next() -> None:
    """Time-out 0.1 s and late window 0.3 s: delays up to their sum."""
    found = await asyncio.gather(*(answers_late(0.01 * step) for step in range(39)))
    assert all(outcomes["2 read"] == 3 for outcomes in found), "the others go on"
    assert found[0]["1 read"] == 3
    assert found[-1]["1 NoAnswer"] == 3


async def test_a_late_answer_in_front_of_the_right_one_costs_nothing() -> None:
    late: list[int] = []
    meters = Meters(delay_s={1: 0.2, 2: 0.09})
    async with rtu_over_tcp(meters) as port, Bus(converter(port), on_late=late.append) as bus:
        await bus.connect()
        with pytest.raises(NoAnswer):
            await bus.read(1, LOW)
        assert await bus.read(2, HIGH) == content(2, 110, 10)
        assert late == [1]


async def test_stray_bytes_before_an_answer_do_not_lose_it() -> None:
    meters = Meters(tamper=lambda raw: b"\xff\x00" + raw)
    async with rtu_over_tcp(meters) as port, Bus(converter(port)) as bus:
        await bus.connect()
        assert await bus.read(1, LOW) == content(1, 100, 10)


async def test_a_wrong_checksum_is_garbage_and_the_unit_is_left_alone() -> None:
    meters = Meters(tamper=lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]))
    async with rtu_over_tcp(meters) as port, Bus(converter(port)) as bus:
        await bus.connect()
        with pytest.raises(GarbledAnswer, match="25 bytes that are no answer"):
            await bus.read(1, LOW)
        assert bus.allowed_at_s(1) > time.monotonic()
        meters.tamper = bytes
        assert await bus.read(1, HIGH) == content(1, 110, 10)


async def test_a_request_cut_short_counts_as_not_answered() -> None:
    # Long enough that on a busy machine too the answer comes after the request was given up.
    line = {"timeout_s": 5, "late_window_s": 1.5}
    async with rtu_over_tcp(Meters(delay_s={1: 0.7})) as port, Bus(converter(port, **line)) as bus:
        await bus.connect()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bus.read(1, LOW), timeout=0.02)
        assert bus.allowed_at_s(1) > time.monotonic()
        assert await bus.read(1, HIGH) == content(1, 110, 10)


async def test_requests_wait_for_each_other() -> None:
    meters = Meters(delay_s={1: 0.01, 2: 0.01})
    async with rtu_over_tcp(meters) as port, Bus(converter(port)) as bus:
        await bus.connect()
        reads = [(1 + n % 2, Block(Function.INPUT, n, 3)) for n in range(20)]
        answers = await asyncio.gather(*(bus.read(unit, block) for unit, block in reads))
        assert answers == [content(unit, block.address, 3) for unit, block in reads]
