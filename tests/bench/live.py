"""Two hundred meters as they run every day: from the reading to the query, and what the programs need for it."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.figure import Bench, Figure, percentile
from tests.bench.observer import Observer, Seen
from tests.bench.processes import Usage, usage
from tests.bench.site import Site, built
from tests.system.chain import PARK, Chain, Program, chain, wait_until

_SITE = Site(gateways=2, meters=100, poll_s=10.0)
_FOR_S = 60.0
_SETTLE_S = 15.0


def measure(folder: Path) -> Iterator[Figure]:
    """Let two gateways with a hundred meters each run for a minute."""
    with chain(folder) as one, built(one, _SITE):
        one.write_park({})
        one.write_ingest()
        ingest = one.start_ingest()
        gateways = [one.start_gateway(name) for name in _SITE.names]
        meters = _SITE.gateways * _SITE.meters
        wait_until("every meter is read", lambda: len(_meters(one)) >= meters, timeout_s=60)
        programs = [*gateways, ingest]
        seen, before, after = asyncio.run(_observe(one, programs))
    yield from _ages(seen)
    cpu = [100 * (late.cpu_s - early.cpu_s) / _FOR_S for early, late in zip(before, after, strict=True)]
    gateway = f"{_SITE.meters} Modbus TCP meters of ten models at {_SITE.poll_s:g} s, {_FOR_S:g} s long; dearer of two"
    memory = f"{gateway}; nine tenths are there before the first poll: the interpreter and the libraries"
    dearest = max(range(len(gateways)), key=lambda number: cpu[number])
    yield Figure(
        "Gateway of 100 meters, processor", cpu[dearest], "% of one core", gateway, "<= 5 % of one core"
    )
    yield Figure("Gateway of 100 meters, memory", after[dearest].rss_mb, "MB RSS", memory, "<= 48 MB RSS")
    yield Figure("Gateway of 100 meters, peak memory", after[dearest].peak_mb, "MB RSS", "VmHWM of the same")
    yield Figure("Ingest of 200 meters, processor", cpu[-1], "% of one core", "the same minute")
    yield Figure("Ingest of 200 meters, memory", after[-1].rss_mb, "MB RSS", "at its end")


def _ages(seen: Seen) -> Iterator[Figure]:
    how = (
        f"{seen.live_rows:,} rows of {_SITE.gateways * _SITE.meters} meters at {_SITE.poll_s:g} s; from `taken_at` "
        "to ingest's acknowledgement, which follows the write, as seen by a third client at the broker"
    )
    yield Figure("Reading to queryable, median", percentile(seen.ages_s, 0.5), "s", how)
    yield Figure(
        "Reading to queryable, p99", percentile(seen.ages_s, 0.99), "s", "the same rows", "p99 <= 1 s"
    )


async def _observe(one: Chain, programs: Sequence[Program]) -> tuple[Seen, list[Usage], list[Usage]]:
    async with Observer(one.broker.port, PARK) as observer:
        await asyncio.sleep(_SETTLE_S)
        observer.seen = Seen()
        before = [usage(_pid(program)) for program in programs]
        await asyncio.sleep(_FOR_S)
        return observer.seen, before, [usage(_pid(program)) for program in programs]


def _meters(one: Chain) -> set[str]:
    found = one.query(f"{PARK}_raw", 'SHOW TAG VALUES FROM "electricity", "water" WITH KEY = "meter"')
    return {row[1] for series in found for row in series["values"]}


def _pid(program: Program) -> int:
    if program.process is None or program.process.poll() is not None:
        raise ChildProcessError(f"{program.name} does not run: {program.log[-2000:]}")
    return program.process.pid


BENCH = Bench("live", "two gateways of 100 meters each, live", measure)
