"""Ingest flat out, on one core, into a real InfluxDB; and how much of InfluxDB's own rate that is.

Ingest may use core 0 only; broker, InfluxDB and the sender share the machine with it. What one core can do is
what is acknowledged per second of ingest's own processor time; the rate by the clock also depends on how many
cores the others have.
"""

import asyncio
import http.client
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.store.line_protocol import RowEncoder
from metering.readings import Reading
from tests.bench.batches import batch, readings
from tests.bench.figure import Bench, Figure
from tests.bench.processes import on_core, usage
from tests.bench.sender import Delivery, Sender
from tests.system.chain import PARK, Chain, chain

_TARGET = ">= 250,000 values/s"
_GATEWAYS = 8
_METERS = 25
_INSTANTS = 800
_SPACING_MS = 500
_FULL_ROWS = 330
_SMALL_ROWS = 20
_FLOOD_LINES = 5000
_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class _Run:
    """One flood.

    Attributes:
        values: Acknowledged as stored.
        took_s: By the clock.
        cpu_s: Of ingest.
        influx_cpu_s: Of InfluxDB.
    """

    values: int
    took_s: float
    cpu_s: float
    influx_cpu_s: float

    @property
    def per_cpu_s(self) -> float:
        """Values per second of ingest's processor time."""
        return self.values / self.cpu_s


def measure(folder: Path) -> Iterator[Figure]:
    """Send the same rows as large and as small messages, and straight to InfluxDB as line protocol."""
    with chain(folder) as one:
        one.write_park({})
        one.write_ingest()
        with on_core(0):
            ingest = one.start_ingest()
        if ingest.process is None:
            raise ChildProcessError("ingest was not started")
        pid = ingest.process.pid
        end_ms = time.time_ns() // 1_000_000
        polls = _polls("gw-0", end_ms)
        before = _flood_influx(one, "flood1", polls)
        full = asyncio.run(_flood(one, pid, _FULL_ROWS, end_ms))
        raw = min(before, _flood_influx(one, "flood2", polls), key=lambda run: run.took_s)
        yield from _full_figures(full, raw)
        small = asyncio.run(_flood(one, pid, _SMALL_ROWS, end_ms - _SPACING_MS // 2))
        how = f"the same in messages of {_SMALL_ROWS} rows, as gateways send them live"
        yield Figure("Ingest, small messages, per core", small.per_cpu_s, "values/CPU-s", how, _TARGET)
        by_clock = small.values / small.took_s
        yield Figure("Ingest, small messages, by the clock", by_clock, "values/s", "the same run", _TARGET)


def _full_figures(full: _Run, raw: _Run) -> Iterator[Figure]:
    rows = f"{_GATEWAYS * _METERS * _INSTANTS:,} rows of {_GATEWAYS} gateways in messages of {_FULL_ROWS}"
    yield Figure(
        "Ingest, per core",
        full.per_cpu_s,
        "values/CPU-s",
        f"{rows} through Mosquitto, all acknowledged; values per second of processor time, ingest on one core",
        _TARGET,
    )
    yield Figure("Ingest, by the clock", full.values / full.took_s, "values/s", "the same run", _TARGET)
    yield Figure("Ingest, processor time", full.cpu_s / full.values * 1e6, "µs/value", "the same run")
    yield Figure("Ingest, use of its core", 100 * full.cpu_s / full.took_s, "%", "the same run")
    raw_how = f"the same line protocol posted straight to InfluxDB, {_FLOOD_LINES} lines a body, one connection, better of two"
    yield Figure("Raw flood into InfluxDB", raw.values / raw.took_s, "values/s", raw_how)
    share = (full.values / full.took_s) / (raw.values / raw.took_s)
    yield Figure("Ingest's share of the raw flood", 100 * share, "%", "both by the clock, on this machine")
    per_value = full.cpu_s / full.values / (raw.influx_cpu_s / raw.values)
    how = "processor time per value: ingest's in its run, InfluxDB's in the raw flood"
    yield Figure("Ingest's cost beside InfluxDB's", 100 * per_value, "%", how)


def _polls(gateway: str, end_ms: int) -> list[Reading]:
    meters = [f"{gateway}-m{number}" for number in range(_METERS)]
    first_ms = end_ms - _INSTANTS * _SPACING_MS
    return readings(meters, range(first_ms, end_ms, _SPACING_MS))


async def _flood(one: Chain, pid: int, rows_per_message: int, end_ms: int) -> _Run:
    batches = [
        batch(
            f"gw-{number}",
            f"{number:08x}{rows_per_message:08x}",
            _polls(f"gw-{number}", end_ms),
            rows_per_message=rows_per_message,
        )
        for number in range(_GATEWAYS)
    ]
    async with Sender(one.broker.port, PARK) as sender:
        before, influx_before = usage(pid).cpu_s, usage(one.influx.pid).cpu_s
        delivery = await sender.send_all(batches)
        cpu_s, influx_cpu_s = usage(pid).cpu_s - before, usage(one.influx.pid).cpu_s - influx_before
    _check(delivery, sum(part.rows for part in batches))
    return _Run(sum(part.values for part in batches), delivery.took_s, cpu_s, influx_cpu_s)


def _check(delivery: Delivery, rows: int) -> None:
    """A rate of what is not stored would say nothing."""
    if delivery.rows_stored != rows:
        raise ValueError(
            f"{delivery.rows_stored} of {rows} rows stored, {delivery.rows_quarantined} set aside"
        )


def _flood_influx(one: Chain, database: str, polls: Sequence[Reading]) -> _Run:
    one.query("", f"CREATE DATABASE {database}")
    bodies = [body for number in range(_GATEWAYS) for body in _bodies(polls, f"g{number}", rows=_FLOOD_LINES)]
    connection = http.client.HTTPConnection("127.0.0.1", one.influx.port, timeout=60)
    before = usage(one.influx.pid).cpu_s
    started_s = time.monotonic()
    for body in bodies:
        connection.request("POST", f"/write?db={database}&precision=ms", body)
        answer = connection.getresponse()
        answer.read()
        if answer.status != _NO_CONTENT:
            raise ConnectionError(f"InfluxDB says {answer.status}")
    took_s = time.monotonic() - started_s
    connection.close()
    values = _GATEWAYS * len(polls) * len(polls[0].quantities)
    return _Run(values, took_s, 0.0, usage(one.influx.pid).cpu_s - before)


def _bodies(polls: Sequence[Reading], prefix: str, *, rows: int) -> Iterator[bytes]:
    encoder = RowEncoder(polls[0].medium, PARK, polls[0].quantities)
    for first in range(0, len(polls), rows):
        part = (one.row for one in polls[first : first + rows])
        yield b"\n".join(
            encoder.encode(f"{prefix}-{row.meter}", row.taken_at_ms, row.quality, row.values) for row in part
        )


BENCH = Bench("ingest", "MQTT to InfluxDB, flat out", measure)
