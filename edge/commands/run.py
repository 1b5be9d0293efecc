"""`zonewise-edge run`: the service."""

import asyncio
import contextlib
import logging
import sys
from functools import partial
from pathlib import Path

import click

from edge.batching.intake import accepted_log, ignore_accepted
from edge.commands.options import config_option
from edge.config.gateway import GatewayConfig, load_config
from edge.polling.buses import Polling
from edge.polling.health import Health
from edge.service.agent import agent, stop_on_signals
from edge.service.pages import routes
from metering.errors import CannotListen, ConfigError
from metering.program import local_http

_LOGGER = logging.getLogger(__name__)


@click.command()
@config_option
@click.option(
    "--accepted-log",
    "maybe_log",
    type=click.Path(dir_okay=False, path_type=Path),
    hidden=True,
    help="For tests that kill the gateway: log and fsync each row that the outbox holds as configured.",
)
def command(*, config_path: Path, maybe_log: Path | None) -> None:
    """Poll the meters and deliver their rows until stopped.

    Rows are kept, on disk if needed, until ingest acknowledges them.
    SIGTERM or Ctrl-C stops it in order.

    \b
    Example:
      zonewise-edge run --config gateway.yaml
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    config = load_config(config_path)
    # A secret or TLS file that cannot be used is a wrong configuration; it is read again at each connect.
    unusable = tuple(config.broker.unusable_files())
    if unusable:
        raise ConfigError(unusable)
    for warning in config.warnings:
        _LOGGER.warning("%s: %s", config_path, warning)
    try:
        asyncio.run(_serve(config, maybe_log))
    except CannotListen:
        raise
    except Exception:
        # The one supervision point: the outbox is closed by now, and systemd restarts the gateway.
        _LOGGER.critical("the gateway ends", exc_info=True)
        sys.exit(1)


async def _serve(config: GatewayConfig, maybe_log: Path | None) -> None:
    health = Health(config.buses, config.devices)
    with contextlib.ExitStack() as stack:
        accepted = ignore_accepted if maybe_log is None else stack.enter_context(accepted_log(maybe_log))
        stop = stop_on_signals()
        async with agent(config, partial(Polling, config, health), accepted=accepted) as service:
            pages = routes(service.snapshot, health.snapshot)
            address = stack.enter_context(local_http.serving(config.http, pages))
            _LOGGER.info("local pages on http://%s", address)
            await service.run(stop)
