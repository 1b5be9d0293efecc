"""`zonewise-sim demo`: the whole chain on one machine."""

import signal
import sys
from pathlib import Path
from types import FrameType

import click

from metering.program import stop_signals
from simulators.demo.demo import DemoOptions, run_demo
from simulators.demo.site import PARKS

_STOPPED = 130


@click.command()
@click.option(
    "--for",
    "maybe_for_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Seconds of live running; without it, until Ctrl-C.",
)
@click.option(
    "--days",
    type=click.IntRange(min=2),
    default=60,
    show_default=True,
    help="Days of history.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".demo"),
    show_default=True,
    help="Where it all lives; emptied at the start.",
)
def command(*, maybe_for_s: float | None, days: int, folder: Path) -> None:
    """Run a simulated park with gateways, broker, ingest, rollup and InfluxDB.

    Brings a history first, then runs live and reports at its end. The exit code
    is 0 only if no row was lost and every zone has data.

    \b
    Examples:
      zonewise-sim demo
      zonewise-sim demo --for 60 --days 3
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    # SIGINT too: a process that a shell starts in the background inherits it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _as_interrupt)
    options = DemoOptions(folder.resolve(), PARKS / "demo", days, maybe_for_s)
    try:
        stop_signals.raise_noted()
        is_good = run_demo(options)
    except KeyboardInterrupt:
        click.echo("\nStopped; nothing is left running.", err=True)
        sys.exit(_STOPPED)
    sys.exit(0 if is_good else 1)


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
