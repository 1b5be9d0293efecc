"""`zonewise-sim fault`: let something go wrong in a running simulated park."""

from pathlib import Path

import click

from simulators.meters.faults import FaultKind
from simulators.park.control import send_order
from simulators.park.park import Order


@click.command()
@click.option(
    "--park-socket",
    "socket_path",
    type=click.Path(path_type=Path),
    required=True,
    help="Control socket of the running park.",
)
@click.option("--meter", "maybe_meter", help="Meter that goes wrong.")
@click.option("--line", "maybe_line", help="Line that is cut, as GATEWAY/BUS.")
@click.option(
    "--for", "for_s", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds."
)
@click.option("--value", type=float, help="Seconds for `late`, code for `exception`.")
@click.argument("kind", type=click.Choice([kind.value for kind in FaultKind]))
def command(
    *,
    socket_path: Path,
    maybe_meter: str | None,
    maybe_line: str | None,
    for_s: float,
    value: float | None,
    kind: str,
) -> None:
    """Order a fault of a meter, or `cut` a line.

    \b
    Examples:
      zonewise-sim fault --park-socket .demo/park.sock --meter z1-main \\
        silence --for 30
      zonewise-sim fault --park-socket .demo/park.sock --line gw-2/line1 cut
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    target = maybe_meter or maybe_line
    if target is None or (maybe_meter and maybe_line):
        raise click.UsageError("name one --meter or one --line")
    click.echo(send_order(socket_path, Order(target, FaultKind(kind), for_s, value)))
