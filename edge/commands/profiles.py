"""`zonewise-edge profiles`: the meter catalogue."""

import textwrap

import click

from edge.catalogue import models as catalogue
from edge.drivers.modbus.profile import Profile, RegisterSpec
from edge.errors import UnknownModel


@click.command("profiles")
@click.argument("maybe_model", metavar="[MODEL]", required=False)
def command(maybe_model: str | None) -> None:
    r"""List the meter models, or show one with its registers and sources.

    \b
    Examples:
      zonewise-edge profiles
      zonewise-edge profiles eastron-sdm630
    """
    if maybe_model is None:
        _print_list()
        return
    try:
        profile = catalogue.load(maybe_model)
    except UnknownModel as error:
        raise click.UsageError(str(error)) from error
    _print_one(profile)


def _print_list() -> None:
    for profile in catalogue.profiles():
        quantities = len(profile.registers)
        channels = f", {profile.channels} channels" if profile.has_channels else ""
        click.echo(
            f"{profile.model:<26} {profile.medium:<12} {profile.status:<11}"
            f" {quantities:>3} quantities{channels}"
        )
    click.echo("\nRegisters and sources: zonewise-edge profiles MODEL, or docs/meters.md")


def _print_one(profile: Profile) -> None:
    _wrap(f"{profile.model}: {profile.maker}, {', '.join(profile.names)}")
    click.echo(f"{profile.medium}, {profile.status}, profile {profile.hash}")
    if profile.serial is not None:
        port = profile.serial
        click.echo(f"from the factory: {port.baud} 8{port.parity}{port.stop_bits}, address {port.address}")
    click.echo(f"\n{'quantity':<30} {'function':<8} {'address':>7} {'type':<5} {'poll':<5}")
    for spec in profile.registers:
        click.echo(_row(spec))
    click.echo("\nsources:")
    for source in profile.sources:
        _wrap(f"- {source.title}, {source.version}, {source.place}")
    for note in profile.notes:
        _wrap(f"note: {note}")


def _wrap(text: str) -> None:
    click.echo(textwrap.fill(text, width=80, subsequent_indent="  "))


def _row(spec: RegisterSpec) -> str:
    register = spec.register
    return (
        f"{spec.quantity:<30} {register.function.name.lower():<8} {register.address:>7}"
        f" {register.layout.encoding:<5} {spec.poll:<5}"
    )
