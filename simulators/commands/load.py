"""`zonewise-sim load`: how much a broker, an ingest and an InfluxDB take."""

import asyncio
import tempfile
from pathlib import Path

import click

from metering.program.connection import Broker
from simulators.errors import first_of
from simulators.gateways.loadgen import LoadPlan, LoadResult, generate_load


@click.command()
@click.option("--broker", default="127.0.0.1:1883", show_default=True, metavar="HOST:PORT")
@click.option("--park", required=True, help="A park that ingest has; its raw database gets the rows.")
@click.option("--gateways", type=click.IntRange(min=1), default=4, show_default=True)
@click.option("--meters", type=click.IntRange(min=1), default=50, show_default=True, help="Per gateway.")
@click.option("--quantities", type=click.IntRange(1, 18), default=10, show_default=True, help="Per meter.")
@click.option("--for", "seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True)
@click.option(
    "--period",
    "period_s",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Seconds between two rows of a meter; 0 = flat out.",
)
def command(
    *,
    broker: str,
    park: str,
    gateways: int,
    meters: int,
    quantities: int,
    seconds: float,
    period_s: float,
) -> None:
    """Send rows of made-up meters and measure how fast they are stored.

    \b
    Example:
      zonewise-sim load --broker 127.0.0.1:1883 --park demo --for 20
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    host, _, port = broker.rpartition(":")
    if not host or not port.isdecimal():
        raise click.BadParameter(f"{broker!r} is not HOST:PORT", param_hint="--broker")
    with tempfile.TemporaryDirectory(prefix="zonewise-load-") as folder:
        plan = LoadPlan(
            park=park,
            broker=Broker(host=host, port=int(port)),
            folder=Path(folder),
            gateways=gateways,
            meters=meters,
            quantities=quantities,
            seconds=seconds,
            period_s=period_s,
        )
        try:
            _tell(asyncio.run(generate_load(plan)))
        except ExceptionGroup as group:
            raise first_of(group) from group


def _tell(result: LoadResult) -> None:
    read = sum(account.read for account in result.accounts)
    apart = sum(account.quarantined for account in result.accounts)
    click.echo(f"rows:    {read:,} sent, {result.stored:,} stored, {apart:,} in quarantine")
    click.echo(f"values:  {result.values:,} in {result.elapsed_s:.1f} s = {result.values_per_s:,.0f} per s")
    times = "   ".join(f"{name} {result.ack_time_s(part):.3f} s" for name, part in _PARTS)
    click.echo(f"to ack:  {times}   ({len(result.ack_times_s):,} messages)")


_PARTS = (("half", 0.5), ("95 %", 0.95), ("99 %", 0.99), ("all", 1.0))
