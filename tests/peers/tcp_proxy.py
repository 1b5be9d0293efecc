"""STAND-IN for a network between gateway and meters: a TCP proxy that can lose connections without a word.

`swallow` is what a firewall that has forgotten its connections does, or a peer that was switched off: the
sockets stay open, bytes are accepted and go nowhere, and no side is told. New connections work.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Passes bytes both ways until told otherwise.

    Attributes:
        port: Where it listens.
        connections: How many it has accepted.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: dict[asyncio.Task[None], asyncio.Event] = {}
        self.port = 0
        self.connections = 0

    def swallow(self) -> None:
        """Let every open connection lead nowhere from now on."""
        for is_swallowed in self._open.values():
            is_swallowed.set()

    async def end(self) -> None:
        """Close every connection."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until it is closed."""
        self.connections += 1
        is_swallowed = asyncio.Event()
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = is_swallowed
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass(reader, there_writer, is_swallowed))
                group.create_task(_pass(there_reader, writer, is_swallowed))
        except asyncio.CancelledError:
            pass  # the proxy ends: asyncio's server takes a cancelled connection for a fault
        finally:
            there_writer.close()
            writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallowed: asyncio.Event) -> None:
    while data := await _maybe_data(reader):
        if not swallowed.is_set():
            writer.write(data)
    if not swallowed.is_set():
        writer.close()


async def _maybe_data(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(4096)
    except ConnectionError:
        return b""


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """Listen on a loopback port in front of another one."""
    one = Proxy(target)
    server = await asyncio.start_server(one.accept, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        await one.end()
