"""The control socket of a simulated park: orders in, one sentence as answer; one JSON object a line.

`serve` is the park's side, `send_order` the command line's.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from simulators.errors import OrderRefused, ParkGone
from simulators.meters.faults import FaultKind
from simulators.park.park import Order, RunningPark

_TIMEOUT_S = 10.0


@asynccontextmanager
async def control_socket(park: RunningPark, path: Path) -> AsyncIterator[None]:
    """Take orders at a unix socket while the block runs.

    Raises:
        OSError: when the socket cannot be made there.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(_answer(park, await reader.readline())).encode() + b"\n")
        await writer.drain()
        writer.close()

    await asyncio.to_thread(path.unlink, missing_ok=True)
    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _answer(park: RunningPark, line: bytes) -> dict[str, str]:
    try:
        return {"done": park.carry_out(_decode(line))}
    except OrderRefused as error:
        return {"refused": str(error)}


def _decode(line: bytes) -> Order:
    try:
        said = json.loads(line)
        value = said["value"]
        return Order(
            target=str(said["target"]),
            kind=FaultKind(said["kind"]),
            for_s=float(said["for_s"]),
            value=None if value is None else float(value),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OrderRefused(f"not an order: {error}") from error


def send_order(path: Path, order: Order) -> str:
    """Order a fault; return the park's answer.

    Raises:
        ParkGone: when no park answers there.
        OrderRefused: when the park refuses.
    """
    said = {"target": order.target, "kind": order.kind, "for_s": order.for_s, "value": order.value}
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(json.dumps(said).encode() + b"\n")
            answer = json.loads(connection.makefile("rb").readline())
    except (OSError, ValueError) as error:
        raise ParkGone(
            f"no simulated park answers at {path} ({error}); is `zonewise-sim park` running?"
        ) from error
    if "done" not in answer:
        raise OrderRefused(str(answer.get("refused", "the park gave no reason")))
    return str(answer["done"])
