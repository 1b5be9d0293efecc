"""After an outage: how fast gateways replay what they hold, and how late live data are meanwhile.

The outage itself is told in short: each gateway's outbox file is filled, by the outbox itself, as an outage of
some hours would have left it. Then real gateways start with it and with meters to read.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from edge.outbox.outbox import Outbox, OutboxClock, OutboxSettings
from tests.bench.batches import Batch, batch, readings
from tests.bench.figure import Bench, Figure, percentile
from tests.bench.observer import Observer, Seen
from tests.bench.site import Site, built
from tests.system.chain import PARK, Chain, chain, wait_until

_SITE = Site(gateways=4, meters=50, poll_s=5.0)
_OUTAGE_POLL_MS = 10_000
_HOURS = 4
_MS_PER_HOUR = 3_600_000
_ROWS_PER_MESSAGE = 20
_TIMEOUT_S = 240.0
_HOURS_PER_DAY = 24
_SECONDS_PER_MINUTE = 60


def measure(folder: Path) -> Iterator[Figure]:
    """Replay four hours of 200 meters while the meters go on being read."""
    with chain(folder) as one, built(one, _SITE):
        one.write_park({})
        one.write_ingest()
        end_ms = time.time_ns() // 1_000_000 - _MS_PER_HOUR
        held = [
            asyncio.run(_fill(folder / f"{name}.db", _held(name, f"{number:016x}", end_ms)))
            for number, name in enumerate(_SITE.names, 1)
        ]
        one.start_ingest()
        seen = asyncio.run(_replay(one, sum(held)))
    yield from _figures(seen)


def _figures(seen: Seen) -> Iterator[Figure]:
    first_s, last_s = seen.backlog_at_s
    meters = _SITE.gateways * _SITE.meters
    rate = seen.backlog_rows / (last_s - first_s)
    how = (
        f"{seen.backlog_rows:,} rows ({_HOURS} h of {meters} meters at 10 s, {_ROWS_PER_MESSAGE} rows a message) "
        f"from the files of {_SITE.gateways} gateways, all acknowledged, with live data at {_SITE.poll_s:g} s beside"
    )
    yield Figure("Replay after an outage", rate, "rows/s", how)
    minutes = _HOURS_PER_DAY / _HOURS * (last_s - first_s) / _SECONDS_PER_MINUTE
    yield Figure(
        "A day's outage, replayed", minutes, "min", f"{_HOURS_PER_DAY // _HOURS} times the same", "minutes"
    )
    ages_s = [
        age_s for at_s, age_s in zip(seen.age_at_s, seen.ages_s, strict=True) if first_s <= at_s <= last_s
    ]
    live = f"{len(ages_s):,} live rows acknowledged while backlog was; from `taken_at`"
    yield Figure("Live data during replay, median", percentile(ages_s, 0.5), "s", live)
    worst = f"the same rows; the worst was {max(ages_s):.2f} s"
    yield Figure("Live data during replay, p99", percentile(ages_s, 0.99), "s", worst, "<= 2 s")


async def _fill(path: Path, held: Batch) -> int:
    """Fill a gateway's file; gives the rows in it."""
    clock = OutboxClock(monotonic_s=time.monotonic, wall_ms=lambda: time.time_ns() // 1_000_000)
    epoch = held.entries[0].id.epoch
    async with Outbox(OutboxSettings(path=path), epoch=epoch, clock=clock) as outbox:
        for entry in held.entries:
            await outbox.append(entry)
    return held.rows


def _held(gateway: str, epoch: str, end_ms: int) -> Batch:
    meters = [f"{gateway}-m{number}" for number in range(_SITE.meters)]
    instants_ms = range(end_ms - _HOURS * _MS_PER_HOUR, end_ms, _OUTAGE_POLL_MS)
    return batch(gateway, epoch, readings(meters, instants_ms), rows_per_message=_ROWS_PER_MESSAGE)


async def _replay(one: Chain, rows: int) -> Seen:
    async with Observer(one.broker.port, PARK) as observer:
        for name in _SITE.names:
            one.start_gateway(name)
        await asyncio.to_thread(
            wait_until,
            f"{rows} rows of backlog are safe",
            lambda: observer.seen.backlog_rows >= rows,
            timeout_s=_TIMEOUT_S,
        )
        return observer.seen


BENCH = Bench("outage", "replay of an outage beside live data", measure)
