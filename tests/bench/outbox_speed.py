"""The outbox: what holding a message costs, and what an outage writes to the SD card.

An outage is told in fast motion: the clock is moved, the disk is real. `write_bytes` of the kernel counts what
SQLite's log, its checkpoints and the file system's own share of them send to the device.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.outbox.entry import Entry
from edge.outbox.outbox import Outbox, OutboxClock, OutboxSettings
from tests.bench.batches import batch, readings
from tests.bench.figure import Bench, Figure, percentile
from tests.bench.processes import usage

_EPOCH = "00000000000000b2"
_END_MS = 1_790_000_000_000
_METERS = 100
_POLL_S = 10
#: A poll of a hundred meters takes about a second and so makes five messages of 200 ms each.
_ROWS_PER_MESSAGE = 20
_CYCLES = 360
_MAINTAIN_S = 0.5
_ALWAYS_MESSAGES = 200
_CYCLES_PER_DAY = 86_400 // _POLL_S


class _MovedClock:
    """Both clocks of an outbox, moved by the measurement."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_ms(self) -> int:
        return _END_MS + round(self.now_s * 1000)

    def as_clock(self) -> OutboxClock:
        return OutboxClock(monotonic_s=self.monotonic_s, wall_ms=self.wall_ms)


def measure(folder: Path) -> Iterator[Figure]:
    """Hold the rows of an hour: acknowledged at once, in an outage, and with `durability: always`."""
    meters = [f"m-{number}" for number in range(_METERS)]
    polls = readings(meters, [_END_MS + cycle * _POLL_S * 1000 for cycle in range(_CYCLES)])
    hour = batch("gw-1", _EPOCH, polls, rows_per_message=_ROWS_PER_MESSAGE)
    yield _healthy(folder, hour.entries)
    yield from _outage(folder, hour.entries, hour.rows)
    yield _always(folder, hour.entries[:_ALWAYS_MESSAGES])


def _healthy(folder: Path, entries: Sequence[Entry]) -> Figure:
    async def run() -> float:
        settings = OutboxSettings(path=folder / "healthy.db")
        async with Outbox(settings, epoch=_EPOCH, clock=_MovedClock().as_clock()) as outbox:
            started_s = time.process_time()
            for entry in entries:
                await outbox.append(entry)
                outbox.hand_out(entry)
                outbox.done(entry.id)
            return time.process_time() - started_s

    taken_s = asyncio.run(run())
    how = "appended, handed out and acknowledged at once; nothing goes to the disk; processor time"
    return Figure("Outbox, healthy uplink", taken_s / len(entries) * 1e6, "µs/message", how)


def _outage(folder: Path, entries: Sequence[Entry], rows: int) -> Iterator[Figure]:
    cpu_before_s = time.process_time()
    before = usage(os.getpid())
    asyncio.run(_hold_an_hour(folder / "outage.db", entries))
    taken_s = time.process_time() - cpu_before_s
    os.sync()
    written = usage(os.getpid()).written_bytes - before.written_bytes
    outage = f"an hour's outage of {_METERS} meters at {_POLL_S} s in fast motion, real file"
    yield Figure("Outbox, outage, processor time", taken_s / rows * 1e6, "µs/row", outage)
    yield Figure(
        "Outbox, outage, written to the disk",
        written / rows,
        "B/row",
        f"{outage}; write_bytes of the kernel, all commits and checkpoints",
    )
    daily_mb = written / _CYCLES * _CYCLES_PER_DAY / 1e6
    yield Figure(
        "Outbox, outage, SD card wear",
        daily_mb,
        "MB/day",
        f"the same, extrapolated to a day of {_METERS} meters of 18 values",
    )


async def _hold_an_hour(path: Path, entries: Sequence[Entry]) -> None:
    clock = _MovedClock()
    per_cycle = len(entries) // _CYCLES
    async with Outbox(OutboxSettings(path=path), epoch=_EPOCH, clock=clock.as_clock()) as outbox:
        for first in range(0, len(entries), per_cycle):
            await outbox.append(*entries[first : first + per_cycle])
            for _ in range(round(_POLL_S / _MAINTAIN_S)):
                clock.now_s += _MAINTAIN_S
                await outbox.maintain()


def _always(folder: Path, entries: Sequence[Entry]) -> Figure:
    async def run() -> list[float]:
        settings = OutboxSettings(path=folder / "always.db", always=True)
        taken_s = []
        async with Outbox(settings, epoch=_EPOCH, clock=_MovedClock().as_clock()) as outbox:
            for entry in entries:
                started_s = time.perf_counter()
                await outbox.append(entry)
                taken_s.append(time.perf_counter() - started_s)
        return taken_s

    how = (
        f"{len(entries)} appends of {_ROWS_PER_MESSAGE} rows, each returning after its commit (fsync); median"
    )
    return Figure("Outbox, `always`, append", percentile(asyncio.run(run()), 0.5) * 1000, "ms/message", how)


BENCH = Bench("outbox", "messages held, in memory and on disk", measure)
