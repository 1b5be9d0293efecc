"""`zonewise-ingest run`: the service."""

import asyncio
from pathlib import Path

import click

from ingest.clock.clocks import SystemClocks
from ingest.commands.options import believe_clock_option, config_option
from ingest.config import load_config
from ingest.service.process import serve
from metering.park.file import load_parks


@click.command()
@config_option
@believe_clock_option
def command(*, config_path: Path, believes_clock: bool) -> None:
    """Bring what the gateways send into journal and InfluxDB.

    Runs until SIGTERM or Ctrl-C, then finishes what it has taken. The
    databases must be there (zonewise-ingest init).

    \b
    Example:
      zonewise-ingest run --config ingest.yaml
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    config = load_config(config_path)
    asyncio.run(serve(config, load_parks(config.parks), clocks=SystemClocks(), believes_clock=believes_clock))
