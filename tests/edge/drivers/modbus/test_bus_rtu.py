"""The line on a real pty pair: serial settings, reopening, and answers that come late.

Without parity: the kernel strips PARENB on a pty, and pyserial's second look at the settings, which pymodbus
always causes, then fails (EINVAL). No real port does that.
"""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from serial import Serial as Port

from edge.drivers.modbus.bus import Bus
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Function
from edge.drivers.settings import BusConfig, Serial
from edge.errors import BusError, GarbledAnswer, LineDown, NoAnswer
from tests.edge.drivers.modbus.late_answers import HIGH, LOW, ask_in_turn
from tests.peers.modbus_meters import Meters, content, serial_line


def line(path: Path, **changes: float) -> BusConfig:
    way = Serial(path, baud=115200, parity="N")
    return BusConfig("line1", way, **{"timeout_s": 0.1, "late_window_s": 0.3, **changes})


async def test_registers_come_as_they_are_on_the_wire() -> None:
    async with serial_line(Meters()) as path, Bus(line(path)) as bus:
        await bus.connect()
        for count in (1, 2, 60, 125):
            assert await bus.read(17, Block(Function.INPUT, 3000, count)) == content(17, 3000, count)


async def test_a_line_can_be_opened_again() -> None:
    async with serial_line(Meters()) as path:
        for stop_bits in (1, 2, 1):
            way = Serial(path, baud=9600, parity="N", stop_bits=stop_bits)
            async with Bus(BusConfig("line1", way, timeout_s=1)) as bus:
                await bus.connect()
                assert await bus.read(1, LOW) == content(1, 100, 10)
            await asyncio.sleep(0.05)


async def test_a_port_that_is_not_there_says_so() -> None:
    async with Bus(line(Path("/dev/serial/by-id/none"))) as bus:
        with pytest.raises(LineDown, match="No such file"):
            await bus.connect()


async def test_a_port_that_another_program_holds_says_so() -> None:
    async with serial_line(Meters()) as path, Bus(line(path)) as bus:
        with Port(str(path), exclusive=True), pytest.raises(LineDown, match="exclusively lock"):
            await bus.connect()


async def test_a_cut_cable_is_a_line_down() -> None:
    async with serial_line(Meters(mute={1})) as path:
        bus = Bus(line(path, timeout_s=30))
        await bus.connect()
        pending = asyncio.ensure_future(bus.read(1, LOW))
        await asyncio.sleep(0.05)
    with pytest.raises(LineDown, match="connection lost"):
        await asyncio.wait_for(pending, timeout=10)
    with pytest.raises(LineDown):
        await bus.connect()
    bus.close()


async def answers_late(delay_s: float) -> Counter[str]:
    meters = Meters(delay_s={5: delay_s, 6: 0.01})
    async with serial_line(meters) as path, Bus(line(path)) as bus:
        return await ask_in_turn(bus, slow=5, quick=6)


async def test_no_late_answer_is_taken_for_the_next() -> None:
    """Time-out 0.1 s and late window 0.3 s: delays up to their sum."""
    found = await asyncio.gather(*(answers_late(0.01 * step) for step in range(39)))
    assert all(outcomes["6 read"] == 3 for outcomes in found), "the others go on"
    assert found[0]["5 read"] == 3
    assert found[-1]["5 NoAnswer"] == 3


async def test_late_answers_and_garbage_are_told_apart_and_counted() -> None:
    late: list[int] = []
    meters = Meters(delay_s={5: 0.15})
    async with serial_line(meters) as path, Bus(line(path), on_late=late.append) as bus:
        await bus.connect()
        with pytest.raises(NoAnswer):
            await bus.read(5, LOW)
        assert await bus.read(6, HIGH) == content(6, 110, 10)
        meters.tamper = lambda raw: raw[:5] + b"\x55" + raw[6:]
        with pytest.raises(GarbledAnswer):
            await bus.read(6, HIGH)
        assert late == [5]


async def test_a_refusal_cut_in_pieces_by_the_system_is_put_together() -> None:
    async with serial_line(Meters(refusals={100: 2})) as path, Bus(line(path)) as bus:
        await bus.connect()
        with pytest.raises(BusError, match="ILLEGAL_DATA_ADDRESS"):
            await bus.read(5, LOW)


async def test_a_setting_that_the_port_refuses_is_a_line_down() -> None:
    async with serial_line(Meters()) as path:
        way = Serial(path, baud=9600, parity="E")
        async with Bus(BusConfig("line1", way)) as bus:
            with pytest.raises(LineDown, match="Invalid argument"):
                await bus.connect()
