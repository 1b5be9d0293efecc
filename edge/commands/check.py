"""`zonewise-edge check`: is the configuration right, and do bus and uplink keep up?"""

import sys
import textwrap
from pathlib import Path

import click

from edge.commands.options import config_option
from edge.commissioning.forecast import MAX_BUSY, BusForecast, Forecast, forecast
from edge.config.gateway import GatewayConfig, load_config


@click.command("check")
@config_option
@click.option("--uplink-mb", type=float, metavar="MB", help="Data volume of your contract, in MB a month.")
def command(config_path: Path, uplink_mb: float | None) -> None:
    r"""Check gateway.yaml without touching the network or a meter.

    Prints each bus's predicted cycle time and its poll period, and the predicted uplink volume. Exit code
    0: all fits; 1: a warning was printed; 2: the file is wrong (every problem is listed with its place).

    \b
    Example:
      zonewise-edge check --config gateway.yaml --uplink-mb 2000
    """
    config = load_config(config_path)
    predicted = forecast(config)
    _print(predicted)
    warnings = [*config.warnings, *_missing(config), *_warnings(predicted, uplink_mb)]
    for warning in warnings:
        _wrap(f"warning: {warning}")
    if warnings:
        sys.exit(1)
    click.echo("all fits")


def _missing(config: GatewayConfig) -> list[str]:
    """Return a warning for each unusable file that `run` needs; `check` may run on another machine."""
    return [f"{one}; the gateway does not run without it" for one in config.broker.unusable_files()]


def _print(predicted: Forecast) -> None:
    click.echo(f"{'bus':<16} {'meters':>6} {'requests':>8} {'cycle':>9} {'poll':>9} {'busy':>6}")
    for bus in predicted.buses:
        click.echo(
            f"{bus.bus:<16} {bus.meters:>6} {bus.requests:>8} {bus.cycle_s:>7.2f} s"
            f" {bus.shortest_poll_s:>7g} s {bus.busy:>6.0%}"
        )
    uplink = predicted.uplink
    click.echo(f"uplink: {uplink.rows_per_day:,.0f} rows a day, about {uplink.mb_per_month:,.0f} MB a month")
    for model in predicted.unverified:
        _wrap(f"note: {model} is unverified; compare `zonewise-edge read` with the meter's display")


def _wrap(text: str) -> None:
    lines = textwrap.wrap(
        text, width=80, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
    click.echo("\n".join(lines))


def _warnings(predicted: Forecast, uplink_mb: float | None) -> list[str]:
    found = [_too_slow(bus) for bus in predicted.buses if not bus.fits]
    volume_mb = predicted.uplink.mb_per_month
    if uplink_mb is not None and volume_mb > uplink_mb:
        found.append(
            f"uplink needs {volume_mb:,.0f} MB a month, the contract has {uplink_mb:,.0f};"
            " use a longer poll_s"
        )
    return found


def _too_slow(bus: BusForecast) -> str:
    return (
        f"bus {bus.bus!r} would be busy {bus.busy:.0%} of the time, at most {MAX_BUSY:.0%} fits;"
        " use a longer poll_s, a higher baud rate or a second line"
    )
