"""Lines of simulated meters in a process of their own, so that their work is not taken for the gateway's."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from simulators.lines.answer_log import AnswerLog
from simulators.lines.line import Line, SharedResources
from simulators.lines.rtu_line import RtuTiming
from simulators.lines.serial_line import serial_line
from simulators.lines.tcp_line import tcp_line
from simulators.meters.faults import Faults
from tests.bench.devices import device

_START_TIMEOUT_S = 30.0
# Eleven bits as 8E1; the kernel does not set parity on a pty twice, and pymodbus asks twice.
_PARITY, _STOP_BITS = "N", 2


@dataclass(frozen=True, slots=True)
class Unit:
    """A device on a line."""

    unit: int
    model: str
    meter: str


@dataclass(frozen=True, slots=True)
class SimulatedLine:
    """A line to serve.

    Attributes:
        units: What stands on it.
        maybe_link: Where its serial port is to be; `None` = Modbus TCP on a free port.
        baud: Speed of the serial line, 8N2.
        answer_s: How long the devices take to answer; `None` = as their tables say.
        maybe_log: Takes every answer.
    """

    units: tuple[Unit, ...]
    maybe_link: Path | None = None
    baud: int = 9600
    answer_s: float | None = None
    maybe_log: Path | None = None


@contextmanager
def serving(lines: Sequence[SimulatedLine]) -> Iterator[tuple[int, ...]]:
    """Serve lines while the block runs; gives the port of each, 0 for a serial one.

    Raises:
        ChildProcessError: when the process does not come up.
    """
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(tuple(lines), theirs), name="bench-lines", daemon=True)
    process.start()
    try:
        if not ours.poll(_START_TIMEOUT_S):
            raise ChildProcessError("the simulated lines do not come up")
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(lines: tuple[SimulatedLine, ...], ready: Connection) -> None:
    asyncio.run(_serve_all(lines, ready))


async def _serve_all(lines: tuple[SimulatedLine, ...], ready: Connection) -> None:
    async with AsyncExitStack() as stack:
        ports = [await _open(line, number, stack) for number, line in enumerate(lines)]
        ready.send(tuple(ports))
        await asyncio.Event().wait()


async def _open(line: SimulatedLine, number: int, stack: AsyncExitStack) -> int:
    log = stack.enter_context(AnswerLog(line.maybe_log))
    around = SharedResources(Faults(monotonic_s=time.monotonic), log, lambda: time.time_ns() // 1_000_000)
    devices = {one.unit: device(one.model, one.meter, number=one.unit).image for one in line.units}
    served = Line(f"bench/{number}", devices, around, answer_s=line.answer_s)
    if line.maybe_link is None:
        return await stack.enter_async_context(tcp_line(served, "127.0.0.1", 0))
    timing = RtuTiming.of(baud=line.baud, parity=_PARITY, stop_bits=_STOP_BITS)
    await stack.enter_async_context(serial_line(served, line.maybe_link, timing))
    return 0
