"""How well a serial line is used while polls are due, and how fast a network is read.

Use = (bytes on the wire + prescribed silences + the meters' own answer times) / elapsed. The line is a pty whose
other end lets bytes pass at the baud rate and answers like the tables' meters; it runs in a process of its own.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.catalogue import models as catalogue
from edge.drivers.line_timing import LineTiming
from edge.drivers.modbus.bus import Bus
from edge.drivers.modbus.plan import Block
from edge.drivers.settings import BusConfig, Serial, Tcp
from tests.bench.devices import Device, device
from tests.bench.figure import Bench, Figure
from tests.bench.lines import SimulatedLine, Unit, serving

BAUD = 9600
_TARGET = ">= 95 %"
_SERIAL_FOR_S = 8.0
_TCP_FOR_S = 5.0
_UNITS = 20
#: Eleven bits a character as with 8E1, but without parity: see `tests.bench.lines`.
PARITY, STOP_BITS = "N", 2
_QUICK_S = 0.005
# MODBUS over Serial Line V1.02, 2.5.1: 8 data bits with start, parity and stop; 3.5 characters between frames.
_BITS_PER_CHAR = 11
_SILENCE_CHARS = 3.5
_REQUEST_CHARS = 8
_ANSWER_CHARS_BESIDE_DATA = 5


@dataclass(frozen=True, slots=True)
class _Read:
    """One request that the schedule wants."""

    unit: int
    block: Block
    answer_s: float


def measure(folder: Path) -> Iterator[Figure]:
    """Read a full line again and again at two speeds, with usual and with quick meters; then a network."""
    for baud in (BAUD, 2 * BAUD):
        yield _serial(folder, baud, None, "meters' usual 50 to 100 ms")
        yield _serial(folder, baud, _QUICK_S, f"all in {_QUICK_S * 1000:g} ms")
    yield _network()


def _serial(folder: Path, baud: int, answer_s: float | None, answers: str) -> Figure:
    link = folder / f"line-{baud}-{answer_s}"
    units = _units()
    reads = _reads(units, LineTiming.serial(baud=baud, parity=PARITY, stop_bits=STOP_BITS), answer_s)
    config = BusConfig("line", Serial(link, baud=baud, parity=PARITY, stop_bits=STOP_BITS), timeout_s=0.5)
    with serving([SimulatedLine(units, link, baud=baud, answer_s=answer_s)]):
        done, took_s = asyncio.run(_read_for(config, reads, _SERIAL_FOR_S))
    busy_s = sum(needed_s(read.block.count, baud, read.answer_s) for read in done)
    kind = "" if answer_s is None else ", quick meters"
    return Figure(
        f"Bus use, {baud} Bd{kind}",
        100 * busy_s / took_s,
        "%",
        f"{len(done)} requests to {_UNITS} meters of ten models on a pty with 8N2 timing, answers: {answers}",
        _TARGET,
    )


def _network() -> Figure:
    units = _units()
    with serving([SimulatedLine(units, answer_s=0.0)]) as (port,):
        config = BusConfig("net", Tcp("127.0.0.1", port))
        done, took_s = asyncio.run(_read_for(config, _reads(units, LineTiming.network(), 0.0), _TCP_FOR_S))
    how = "one connection, one request at a time, to simulated meters that answer at once; they share the machine"
    return Figure("Modbus TCP reads", len(done) / took_s, "requests/s", how)


def _units() -> tuple[Unit, ...]:
    models = catalogue.model_ids()
    return tuple(Unit(number, models[number % len(models)], f"m-{number}") for number in range(1, _UNITS + 1))


def _reads(units: Sequence[Unit], line: LineTiming, answer_s: float | None) -> list[_Read]:
    devices: list[tuple[int, Device]] = [
        (one.unit, device(one.model, one.meter, line=line, number=one.unit)) for one in units
    ]
    return [
        _Read(unit, block, one.profile.answer_delay_s if answer_s is None else answer_s)
        for unit, one in devices
        for block in one.blocks
    ]


def needed_s(registers: int, baud: int, answer_s: float) -> float:
    """Return how long a line cannot but take for one request: bytes, silences and the meter's answer time."""
    characters = _REQUEST_CHARS + _ANSWER_CHARS_BESIDE_DATA + 2 * registers + 2 * _SILENCE_CHARS
    return characters * _BITS_PER_CHAR / baud + answer_s


async def _read_for(config: BusConfig, reads: Sequence[_Read], for_s: float) -> tuple[list[_Read], float]:
    """Read in turn, always the next one due; gives what was read and how long it took."""
    done: list[_Read] = []
    async with Bus(config) as bus:
        await bus.connect()
        started_s = time.monotonic()
        while time.monotonic() < started_s + for_s:
            read = reads[len(done) % len(reads)]
            await bus.read(read.unit, read.block)
            done.append(read)
        return done, time.monotonic() - started_s


BENCH = Bench("bus", "serial line and network, polls always due", measure)
