"""`zonewise-sim park`: simulated meters on real wires."""

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path

import click

from metering.program import logs, stop_signals
from simulators.loads.flows import default_origin_ms
from simulators.park.control import control_socket
from simulators.park.park import ParkOptions, RunningPark, park_on_wires, wall_ms
from simulators.wires import Wires, load_wires


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Description of the simulated park.",
)
@click.option(
    "--socket",
    "maybe_socket",
    type=click.Path(path_type=Path),
    help="Unix socket for `zonewise-sim fault`.",
)
@click.option(
    "--answers",
    "maybe_answers",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Log every answer to this file.",
)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Day at which counters begin.")
@click.option("--counting", is_flag=True, help="Raise the counters by one step per answer.")
def command(
    *,
    config_path: Path,
    maybe_socket: Path | None,
    maybe_answers: Path | None,
    since: datetime | None,
    counting: bool,
) -> None:
    """Run the meters of a simulated park until it is stopped.

    Meters listen where the park's gateway files look for them: on TCP ports of
    this machine, and on ptys that stand in for serial ports.

    \b
    Example:
      zonewise-sim park --config simulators/parks/demo/sim.yaml \\
        --socket /tmp/park.sock
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    logs.start()
    wires = load_wires(config_path)
    origin_ms = default_origin_ms(wall_ms()) if since is None else _ms(since)
    options = ParkOptions(origin_ms=origin_ms, maybe_answers=maybe_answers, counting=counting)
    asyncio.run(_run(wires, options, maybe_socket))


def _ms(day: datetime) -> int:
    return int(day.replace(tzinfo=UTC).timestamp() * 1000)


async def _run(wires: Wires, options: ParkOptions, maybe_socket: Path | None) -> None:
    stop = asyncio.Event()
    stop_signals.call_on_stop(asyncio.get_running_loop(), stop.set)
    async with contextlib.AsyncExitStack() as stack:
        park = await stack.enter_async_context(park_on_wires(wires, options))
        if maybe_socket is not None:
            await stack.enter_async_context(control_socket(park, maybe_socket))
        _tell(park)
        await stop.wait()


def _tell(park: RunningPark) -> None:
    for name, (entry, line) in park.lines.items():
        place = entry.tcp or entry.rtu_over_tcp or entry.serial
        click.echo(f"{name}: {len(line.devices)} devices at {place}")
    click.echo(f"simulated park runs: {len(park.meters)} meters")
