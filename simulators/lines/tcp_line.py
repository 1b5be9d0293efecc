"""A simulated line on TCP: a Modbus TCP gateway with several unit ids, or a converter that passes RTU frames.

A cut line closes its connections and drops new ones until it is whole again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from simulators.lines.line import Line
from simulators.lines.rtu_line import RtuLine, RtuTiming
from simulators.meters.frames import TcpReader, TcpRequest, tcp_frame

#: A TCP gateway is quick: the delays in the tables are those of the serial line behind it.
TCP_ANSWER_S = 0.003
_CHUNK = 4096
_LOOK_S = 0.2

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_line(line: Line, host: str, port: int) -> AsyncIterator[int]:
    """Serve Modbus TCP while the block runs; yields the port, a free one for 0.

    Raises:
        OSError: when the port cannot be listened on.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = TcpReader()
        while data := await _maybe_data(reader, line):
            for request in requests.feed(data):
                await _answer(line, request, writer)

    async with _listening(serve, host, port) as real_port:
        yield real_port


@asynccontextmanager
async def rtu_over_tcp_line(line: Line, host: str, port: int, timing: RtuTiming) -> AsyncIterator[int]:
    """Serve RTU frames over TCP with the timing of the serial line behind the converter.

    Raises:
        OSError: when the port cannot be listened on.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with RtuLine(line, timing, writer.write) as wire:
            while data := await _maybe_data(reader, line):
                wire.receive(data)

    async with _listening(serve, host, port) as real_port:
        yield real_port


@asynccontextmanager
async def _listening(serve: Serve, host: str, port: int) -> AsyncIterator[int]:
    connections: set[asyncio.StreamWriter] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        try:
            await serve(reader, writer)
        except (ValueError, ConnectionError, asyncio.CancelledError):
            pass  # the peer has closed, sends no Modbus, or the park stops: the connection ends
        finally:
            connections.discard(writer)
            writer.close()

    server = await asyncio.start_server(accept, host, port)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in tuple(connections):
            writer.close()
        await server.wait_closed()


async def _maybe_data(reader: asyncio.StreamReader, line: Line) -> bytes:
    """Return received bytes; none when the peer has closed or the line is cut."""
    waiting = asyncio.ensure_future(reader.read(_CHUNK))
    try:
        while not line.is_cut:
            done, _ = await asyncio.wait({waiting}, timeout=_LOOK_S)
            if done:
                return waiting.result()
    finally:
        waiting.cancel()
    return b""


async def _answer(line: Line, asked: TcpRequest, writer: asyncio.StreamWriter) -> None:
    maybe_answer = line.maybe_answer(asked.request)
    if maybe_answer is None:
        return
    await asyncio.sleep(maybe_answer.delay_s)
    writer.write(tcp_frame(asked.transaction, maybe_answer.unit, maybe_answer.pdu))
    await writer.drain()
