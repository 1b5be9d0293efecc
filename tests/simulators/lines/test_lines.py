"""Lines on real wires (TCP, RTU over TCP, a pty), read by pymodbus as a gateway would."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from struct import pack

import orjson
import pytest
from pymodbus import ModbusException
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.framer import FramerType

from edge.catalogue.models import load
from edge.drivers.wiring import Wiring
from simulators.lines.answer_log import AnswerLog
from simulators.lines.line import Line, SharedResources
from simulators.lines.rtu_line import RtuLine, RtuTiming
from simulators.lines.serial_line import serial_line
from simulators.lines.tcp_line import rtu_over_tcp_line, tcp_line
from simulators.loads.course import Flow
from simulators.meters.faults import FaultKind, Faults
from simulators.meters.frames import crc16
from simulators.meters.image import Image, Request
from simulators.meters.meter import SimulatedMeter

BAUD = 19_200
TIMING = RtuTiming.of(baud=BAUD, parity="N", stop_bits=2)
Client = AsyncModbusTcpClient | AsyncModbusSerialClient


class Steady:
    """A flow that stands still."""

    def at(self, instant_ms: int) -> Flow:
        """Return the same, whenever."""
        del instant_ms
        return Flow(2_500.0, 1_000_000.0, 0.0)


def device(name: str) -> Image:
    profile = load("eastron-sdm120")
    meter = SimulatedMeter(name, Steady(), medium=profile.medium, phases=1, wiring=Wiring())
    return Image(profile, {1: meter}, serial=1)


@dataclass(frozen=True)
class Bench:
    """A line with two devices, its faults and its log."""

    line: Line
    faults: Faults
    answers: Path

    @property
    def outcomes(self) -> list[tuple[int, str]]:
        """Unit and outcome of each logged answer."""
        entries = [orjson.loads(one) for one in self.answers.read_bytes().splitlines()]
        return [(one["unit"], one["outcome"]) for one in entries]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    faults = Faults(monotonic_s=time.monotonic)
    answers = tmp_path / "answers.log"
    around = SharedResources(faults, AnswerLog(answers), lambda: time.time_ns() // 1_000_000)
    line = Line("gw/bus", {1: device("one"), 2: device("two")}, around, answer_s=0.005)
    return Bench(line, faults, answers)


@asynccontextmanager
async def on_tcp(bench: Bench) -> AsyncIterator[Client]:
    async with tcp_line(bench.line, "127.0.0.1", 0) as port:
        client = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0, timeout=0.5)
        assert await client.connect()
        yield client
        client.close()


@asynccontextmanager
async def on_converter(bench: Bench) -> AsyncIterator[Client]:
    async with rtu_over_tcp_line(bench.line, "127.0.0.1", 0, TIMING) as port:
        client = AsyncModbusTcpClient("127.0.0.1", port=port, framer=FramerType.RTU, retries=0, timeout=0.5)
        assert await client.connect()
        yield client
        client.close()


@asynccontextmanager
async def on_pty(bench: Bench, baud: int = BAUD) -> AsyncIterator[Client]:
    link = bench.answers.parent / "line"
    async with serial_line(bench.line, link, TIMING):
        client = AsyncModbusSerialClient(str(link), baudrate=baud, stopbits=2, retries=0, timeout=0.5)
        assert await client.connect()
        yield client
        client.close()


WIRES = pytest.mark.parametrize("wire", [on_tcp, on_converter, on_pty], ids=["tcp", "rtu over tcp", "pty"])


async def registers(client: Client, unit: int, address: int = 0x48, count: int = 2) -> list[int]:
    answer = await client.read_input_registers(address, count=count, device_id=unit)
    assert not answer.isError(), answer
    return list(answer.registers)


@WIRES
async def test_every_unit_answers_for_itself(bench: Bench, wire) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - one of three context managers
    async with wire(bench) as client:
        for unit in (1, 2):
            # 1000 kWh as a float.
            assert await registers(client, unit) == [0x447A, 0]
    assert bench.outcomes == [(1, "answered"), (2, "answered")]


@WIRES
async def test_a_unit_that_is_not_there_is_silent(bench: Bench, wire) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - as above
    async with wire(bench) as client:
        with pytest.raises(ModbusException):
            await registers(client, 9)


@WIRES
async def test_silence_is_of_one_meter_and_ends(bench: Bench, wire) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - as above
    async with wire(bench) as client:
        bench.faults.order("one", FaultKind.SILENCE, for_s=60)
        with pytest.raises(ModbusException):
            await registers(client, 1)
        await registers(client, 2)
        bench.faults.clear()
        await registers(client, 1)


@WIRES
async def test_an_ordered_exception_is_answered(bench: Bench, wire) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - as above
    async with wire(bench) as client:
        bench.faults.order("one", FaultKind.EXCEPTION, for_s=60, value=6)
        answer = await client.read_input_registers(0, count=2, device_id=1)
        assert answer.isError()
        assert answer.exception_code == 6


@pytest.mark.parametrize("wire", [on_converter, on_pty], ids=["rtu over tcp", "pty"])
async def test_a_wrong_checksum_is_no_answer(bench: Bench, wire) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - as above
    async with wire(bench) as client:
        bench.faults.order("one", FaultKind.WRONG_CRC, for_s=60)
        with pytest.raises(ModbusException):
            await registers(client, 1)


async def test_a_cut_tcp_line_ends_connections_and_comes_back(bench: Bench) -> None:
    async with on_tcp(bench) as client:
        await registers(client, 1)
        bench.faults.order("gw/bus", FaultKind.CUT, for_s=60)
        with pytest.raises(ModbusException):
            await registers(client, 1)
        bench.faults.clear()
        assert await client.connect()
        await registers(client, 1)


async def test_a_cut_pty_is_silent(bench: Bench) -> None:
    async with on_pty(bench) as client:
        bench.faults.order("gw/bus", FaultKind.CUT, for_s=60)
        with pytest.raises(ModbusException):
            await registers(client, 1)


async def test_a_pty_can_be_opened_again_and_again(bench: Bench) -> None:
    link = bench.answers.parent / "line"
    async with serial_line(bench.line, link, TIMING):
        for _ in range(3):
            client = AsyncModbusSerialClient(str(link), baudrate=BAUD, stopbits=2, retries=0, timeout=1)
            assert await client.connect()
            await registers(client, 1)
            client.close()


async def test_a_port_at_another_speed_hears_nothing(bench: Bench) -> None:
    async with on_pty(bench, baud=9_600) as client:
        with pytest.raises(ModbusException):
            await registers(client, 1)
    assert not bench.answers.read_bytes()


async def test_a_late_answer_comes_late(bench: Bench) -> None:
    async with on_tcp(bench) as client:
        bench.faults.order("one", FaultKind.LATE, for_s=60, value=0.3)
        began_s = time.monotonic()
        await registers(client, 1)
        assert time.monotonic() - began_s >= 0.3


async def test_bytes_take_the_time_of_the_line(bench: Bench) -> None:
    """Not how fast, which depends on the machine, but that it is never faster than the line."""
    sent: list[tuple[float, int]] = []
    loop = asyncio.get_running_loop()
    complete = asyncio.Event()

    def send(data: bytes) -> None:
        sent.append((loop.time(), len(data)))
        if sum(size for _, size in sent) == 5 + 2 * 30:
            complete.set()

    async with RtuLine(bench.line, TIMING, send) as wire:
        began_s = loop.time()
        wire.receive(_request(1, 0x30, 30))
        async with asyncio.timeout(10):
            await complete.wait()
    passed = 0
    for at_s, size in sent:
        passed += size
        assert at_s - began_s >= (8 + passed) * TIMING.char_s


async def test_two_that_speak_at_once_spoil_the_answer(bench: Bench) -> None:
    sent = bytearray()
    began = asyncio.Event()

    def send(data: bytes) -> None:
        sent.extend(data)
        began.set()

    async with RtuLine(bench.line, TIMING, send) as wire:
        wire.receive(_request(1, 0x30, 30))
        async with asyncio.timeout(10):
            await began.wait()
        wire.receive(_request(2, 0x30, 2))
        async with asyncio.timeout(10):
            while len(sent) < 65:
                began.clear()
                await began.wait()
    good = bench.line.devices[1].read(Request(1, 4, 0x30, 30), 0).data
    assert len(sent) == 65
    assert bytes(sent[3:63]) != good
    assert [unit for unit, _ in bench.outcomes] == [1]


def _request(unit: int, address: int, count: int) -> bytes:
    body = pack(">BBHH", unit, 4, address, count)
    return body + pack("<H", crc16(body))
