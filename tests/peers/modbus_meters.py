"""Stand-ins for meters on a wire: what each register holds follows from unit and address alone.

So a test can tell from an answer whom and what it answers, which no real meter allows. They answer on time,
late, wrongly, with a refusal or not at all, over Modbus TCP, RTU over TCP and a pty as a serial line.
"""

import asyncio
import os
import struct
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path


def register(unit: int, address: int) -> int:
    """Return what a register holds: no two neighbours and no two units alike."""
    return (unit << 11 ^ address * 7) & 0xFFFF


def content(unit: int, address: int, count: int) -> bytes:
    """Return what a block of registers holds."""
    return struct.pack(f">{count}H", *(register(unit, address + n) for n in range(count)))


@dataclass(frozen=True)
class Reply:
    """One answer to come: bytes, and how long after the request."""

    data: bytes
    after_s: float = 0.0


@dataclass
class Meters:
    """What stands on the wire.

    Attributes:
        delay_s: Answer delay by unit; those not named answer at once.
        mute: Units that say nothing.
        mute_addresses: First addresses that a unit does not answer.
        refusals: Exception code by first address.
        tamper: Changes the bytes of each frame just before it is sent.
        registers: What a block holds; by unit, address and count.
        closes_after_answer: Modbus TCP: whether the connection is closed after each answer.
        closes_later_s: How long after the answer.
        closes_on: Modbus TCP: units on whose requests the connection is closed instead of an answer.
        connections: How many were accepted (Modbus TCP).
        requests: (unit, function, address, count) as received.
    """

    delay_s: dict[int, float] = field(default_factory=dict)
    mute: set[int] = field(default_factory=set)
    mute_addresses: set[tuple[int, int]] = field(default_factory=set)
    refusals: dict[int, int] = field(default_factory=dict)
    tamper: Callable[[bytes], bytes] = bytes
    registers: Callable[[int, int, int], bytes] = content
    closes_after_answer: bool = False
    closes_later_s: float = 0.0
    closes_on: set[int] = field(default_factory=set)
    connections: int = 0
    requests: list[tuple[int, int, int, int]] = field(default_factory=list)

    def maybe_reply(self, unit: int, pdu: bytes) -> Reply | None:
        """Return the answer's PDU; `None` for silence."""
        function, address, count = struct.unpack(">BHH", pdu)
        self.requests.append((unit, function, address, count))
        if unit in self.mute or (unit, address) in self.mute_addresses:
            return None
        data = self.registers(unit, address, count)
        answer = struct.pack(">BB", function, len(data)) + data
        if address in self.refusals:
            answer = struct.pack(">BB", function | 0x80, self.refusals[address])
        return Reply(answer, self.delay_s.get(unit, 0.0))


def checksum(data: bytes) -> bytes:
    """CRC of MODBUS over Serial Line V1.02, 6.2.2, bit by bit: owes nothing to the product's table."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


class _Rtu:
    """Takes 8-byte requests from a stream of bytes and sends frames with `send`."""

    def __init__(self, meters: Meters, send: Callable[[bytes], object]) -> None:
        self._meters = meters
        self._send = send
        self._buffer = b""

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 8:
            request, self._buffer = self._buffer[:8], self._buffer[8:]
            if checksum(request[:6]) == request[6:]:
                self._answer(request)

    def _answer(self, request: bytes) -> None:
        maybe_reply = self._meters.maybe_reply(request[0], request[1:6])
        if maybe_reply is not None:
            frame = request[:1] + maybe_reply.data
            frame = self._meters.tamper(frame + checksum(frame))
            asyncio.get_running_loop().call_later(maybe_reply.after_s, self._send, frame)


@asynccontextmanager
async def rtu_over_tcp(meters: Meters, *, port: int = 0) -> AsyncIterator[int]:
    """Serve RTU frames on a loopback port, as a serial converter does; gives the port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rtu = _Rtu(meters, writer.write)
        while data := await reader.read(1024):
            rtu.feed(data)
        writer.close()

    async with _serving(connected, port) as real_port:
        yield real_port


@asynccontextmanager
async def modbus_tcp(meters: Meters, *, port: int = 0) -> AsyncIterator[int]:
    """Serve Modbus TCP on a loopback port; gives the port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        meters.connections += 1
        while header := await reader.read(7):
            transaction, _protocol, length, unit = struct.unpack(">HHHB", header)
            maybe_reply = meters.maybe_reply(unit, await reader.readexactly(length - 1))
            if unit in meters.closes_on:
                break
            if maybe_reply is not None:
                answer = struct.pack(">HHHB", transaction, 0, len(maybe_reply.data) + 1, unit)
                loop.call_later(maybe_reply.after_s, writer.write, meters.tamper(answer + maybe_reply.data))
                if meters.closes_after_answer:
                    # Timers run in the order of their instants: this one is behind the answer's.
                    await asyncio.sleep(maybe_reply.after_s + max(meters.closes_later_s, 1e-4))
                    break
        writer.close()

    async with _serving(connected, port) as real_port:
        yield real_port


@asynccontextmanager
async def _serving(
    connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], port: int
) -> AsyncIterator[int]:
    writers: list[asyncio.StreamWriter] = []

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await connected(reader, writer)  # type: ignore[misc]

    server = await asyncio.start_server(noted, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def serial_line(meters: Meters) -> AsyncIterator[Path]:
    """Serve RTU frames on a pty; gives the device file of its other end."""
    master, slave = os.openpty()
    tty.setraw(master)
    os.set_blocking(master, False)
    path = Path(os.ttyname(slave))
    os.close(slave)
    loop = asyncio.get_running_loop()
    rtu = _Rtu(meters, lambda frame: os.write(master, frame))
    timers: list[asyncio.TimerHandle] = []

    def readable() -> None:
        try:
            rtu.feed(os.read(master, 1024))
        except BlockingIOError:
            return
        except OSError:  # nobody holds the other end
            loop.remove_reader(master)
            timers[:] = [loop.call_later(0.01, loop.add_reader, master, readable)]

    loop.add_reader(master, readable)
    try:
        yield path
    finally:
        for timer in timers:
            timer.cancel()
        loop.remove_reader(master)
        os.close(master)
