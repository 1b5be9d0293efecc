"""`zonewise-ingest rollup`: slots of 15 minutes per meter and group, and live figures, of one park."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from ingest.clock.clocks import SystemClocks, guarded_clock
from ingest.commands.options import believe_clock_option, config_option
from ingest.config import load_config
from ingest.journal.reader import JournalReader
from ingest.rollup.job import Rollup
from ingest.rollup.service import Service, log_cycle
from ingest.store.contract import Store
from ingest.store.influx import open_store
from metering.park.folder import ParkFolder, load_one_park
from metering.park.model import Park
from metering.program import stop_signals
from metering.program.addresses import Address
from metering.program.connection import HttpAddress
from metering.program.local_http import serving

_LOGGER = logging.getLogger(__name__)


@click.command()
@config_option
@click.option("--park", "park_id", metavar="ID", required=True, help="The park.")
@click.option(
    "--once",
    is_flag=True,
    help="Roll up all that is in the raw database now, late rows included, then end.",
)
@click.option(
    "--http",
    "maybe_http",
    metavar="HOST:PORT",
    help="Serve /healthz and /metrics there; port 0 takes a free one.",
)
@believe_clock_option
def command(
    *, config_path: Path, park_id: str, once: bool, maybe_http: str | None, believes_clock: bool
) -> None:
    """Derive quarter-hours per meter and per group of one park.

    Run one of these per park, beside `zonewise-ingest run`. It may be stopped and started at any time: what
    it has to do it learns from InfluxDB.

    \b
    Examples:
      zonewise-ingest rollup --config ingest.yaml --park demo
      zonewise-ingest rollup --config ingest.yaml --park demo --once
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    config = load_config(config_path)
    park = load_one_park(config.parks, park_id)
    maybe_address = None if maybe_http is None else _address(maybe_http)
    reader = JournalReader(config.journal_folder)  # there where `run` is on the same machine
    now_ms = guarded_clock(config, SystemClocks(), reader, is_believed=believes_clock)
    store = open_store(config.store)
    try:
        if once:
            _run_once(store, park, now_ms)
        else:
            asyncio.run(_serve(store, park, ParkFolder(config.parks, park_id), now_ms, maybe_address))
    finally:
        store.close()


def _address(written: str) -> Address:
    try:
        return TypeAdapter[Address](HttpAddress).validate_python(written)
    except ValidationError as error:
        raise click.UsageError(f"--http: {written!r} is not host:port") from error


def _run_once(store: Store, park: Park, now_ms: Callable[[], int]) -> None:
    stop_signals.restore()
    started_s = time.perf_counter()
    cycle = Rollup(store, park).cycle(now_ms(), is_patient=False)
    log_cycle(park.id, cycle, time.perf_counter() - started_s)


async def _serve(
    store: Store, park: Park, folder: ParkFolder, now_ms: Callable[[], int], maybe_address: Address | None
) -> None:
    stop = asyncio.Event()
    stop_signals.call_on_stop(asyncio.get_running_loop(), stop.set)
    service = Service(store, park, folder, clock_ms=now_ms, jitter=random.random)
    _LOGGER.info("park %s: rollup runs", park.id)
    if maybe_address is None:
        await service.run(stop)
    else:
        with serving(maybe_address, service.health.routes()) as address:
            _LOGGER.info("local pages on http://%s", address)
            await service.run(stop)
    _LOGGER.info("park %s: rollup ends", park.id)
