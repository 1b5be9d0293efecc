"""`zonewise-edge read METER`: one meter, now."""

import asyncio
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from edge.commands.options import config_option
from edge.commissioning.read import Sheet, read_meter
from edge.config.gateway import GatewayConfig, load_config
from edge.drivers.contract import Shown
from edge.drivers.meter_model import MeterModel, ModelStatus
from edge.drivers.settings import DeviceConfig
from metering.program.config import did_you_mean

_WIDTH = 80


@click.command("read")
@click.argument("meter")
@config_option
def command(meter: str, config_path: Path) -> None:
    """Read METER once and show each quantity with the registers behind it.

    Exit code 0: read; 1: nothing was read, or the meter says that it is another model; 2: the file or the
    name is wrong.
    A serial port serves one program at a time: stop `zonewise-edge run` first.

    \b
    Example:
      zonewise-edge read z1-main --config gateway.yaml
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    config = load_config(config_path)
    device = _device_of(config, meter)
    point = next(point for point in device.points if point.meter == meter)
    bus = config.bus(device.bus)
    click.echo(f"{meter}: {device.profile.model}, {device.place}")
    click.echo(f"{bus.transport}\n")
    sheet = asyncio.run(read_meter(config, device, point))
    _print(sheet, device)
    for doubt in _doubts(sheet, device.profile):
        _wrap(f"warning: {doubt}")
    for text in sheet.not_given:
        _wrap(f"note: the meter does not give its {text}")
    if sheet.is_empty or sheet.maybe_mismatch is not None:
        sys.exit(1)


def _device_of(config: GatewayConfig, meter: str) -> DeviceConfig:
    maybe_device = config.maybe_device_of(meter)
    if maybe_device is None:
        hint = did_you_mean(meter, config.meters) or f"; there are {', '.join(config.meters)}"
        raise click.UsageError(f"no meter {meter!r} in the configuration{hint}")
    return maybe_device


def _print(sheet: Sheet, device: DeviceConfig) -> None:
    click.echo(f"{'quantity':<28} {'value':>14} {'unit':<5} {'registers':<16} remark")
    for shown in sheet.shown:
        click.echo(_row(shown).rstrip())
    serial = f", serial number {sheet.maybe_serial}" if sheet.maybe_serial else ""
    click.echo(f"\n{sheet.requests} requests, {sheet.took_s * 1000:,.0f} ms{serial}")
    for text in sheet.reasons:
        _wrap(f"note: quantities are missing: {text}")
    if device.profile.status is ModelStatus.UNVERIFIED:
        _wrap("note: this model's table is unverified; compare with the meter's display")


def _doubts(sheet: Sheet, profile: MeterModel) -> Iterator[str]:
    """Yield reasons to doubt the values read."""
    if sheet.maybe_mismatch is not None:
        yield (
            f"the meter says that it is {sheet.maybe_mismatch!r}, not a {profile.model};"
            " zonewise-edge run would publish none of these values"
        )
    if sheet.is_empty:
        yield f"no quantity has a value. Is it a {profile.model}? Another model has other registers"
    elif sheet.is_unlikely:
        ranges = ", ".join(f"{one.quantity} {one.low:g} to {one.high:g}" for one in profile.plausible)
        yield f"the values are unusual for a {profile.model} (it has {ranges}). Is it another model?"


def _wrap(text: str) -> None:
    lines = textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    click.echo("\n".join(lines))


def _row(shown: Shown) -> str:
    value = "-" if shown.value is None else f"{shown.value:,}"
    if isinstance(shown.value, float):
        value = f"{shown.value:,.9g}"
    return f"{shown.quantity:<28} {value:>14} {shown.unit:<5} {shown.raw:<16} {shown.remark}"
