"""`zonewise-ingest rollup`: slots of 15 minutes per meter and group, and live figures, of one park."""

import asyncio
import logging
import random
import time
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from ingest.commands.options import config_option
from ingest.config import load_config
from ingest.park_folder import ParkFolder, load_one_park
from ingest.rollup.job import Rollup
from ingest.rollup.service import Service, log_cycle
from ingest.store import Store, open_store
from metering import stop_signals
from metering.connection import HttpAddress
from metering.local_http import Address, serving
from metering.park import Park

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
def command(*, config_path: Path, park_id: str, once: bool, maybe_http: str | None) -> None:
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
    store = open_store(config.store)
    try:
        if once:
            _run_once(store, park)
        else:
            asyncio.run(_serve(store, park, ParkFolder(config.parks, park_id), maybe_address))
    finally:
        store.close()


def _address(written: str) -> Address:
    try:
        return TypeAdapter[Address](HttpAddress).validate_python(written)
    except ValidationError as error:
        raise click.UsageError(f"--http: {written!r} is not host:port") from error


def _run_once(store: Store, park: Park) -> None:
    stop_signals.restore()
    started_s = time.perf_counter()
    cycle = Rollup(store, park).cycle(_now_ms(), is_patient=False)
    log_cycle(park.id, cycle, time.perf_counter() - started_s)


async def _serve(store: Store, park: Park, folder: ParkFolder, maybe_address: Address | None) -> None:
    stop = asyncio.Event()
    stop_signals.call_on_stop(asyncio.get_running_loop(), stop.set)
    service = Service(store, park, folder, clock_ms=_now_ms, dice=random.random)
    _LOGGER.info("park %s: rollup runs", park.id)
    if maybe_address is None:
        await service.run(stop)
    else:
        with serving(maybe_address, service.health.routes()) as address:
            _LOGGER.info("local pages on http://%s", address)
            await service.run(stop)
    _LOGGER.info("park %s: rollup ends", park.id)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
