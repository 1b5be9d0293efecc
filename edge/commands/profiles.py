"""`zonewise-edge profiles`: the meter catalogue."""

import click

from edge import catalogue
from edge.profile import Profile, RegisterSpec


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
    else:
        _print_one(catalogue.load(maybe_model))


def _print_list() -> None:
    for profile in catalogue.profiles():
        quantities = len(profile.registers)
        channels = f", {profile.channels} channels" if profile.has_channels else ""
        click.echo(
            f"{profile.model:<26} {profile.medium:<12} {profile.status:<11}"
            f" {quantities:>3} quantities{channels}"
        )
    click.echo("\nzonewise-edge profiles MODEL shows registers and sources; docs/meters.md has all of them.")


def _print_one(profile: Profile) -> None:
    click.echo(f"{profile.model}: {profile.maker}, {', '.join(profile.names)}")
    click.echo(f"{profile.medium}, {profile.status}, profile {profile.hash}")
    if profile.serial is not None:
        port = profile.serial
        click.echo(f"from the factory: {port.baud} 8{port.parity}{port.stop_bits}, address {port.address}")
    click.echo(f"\n{'quantity':<30} {'function':<8} {'address':>7} {'type':<5} {'poll':<5}")
    for spec in profile.registers:
        click.echo(_row(spec))
    click.echo("\nsources:")
    for source in profile.sources:
        click.echo(f"  {source.title}, {source.version}, {source.place}")
    for note in profile.notes:
        click.echo(f"note: {note}")


def _row(spec: RegisterSpec) -> str:
    register = spec.register
    return (
        f"{spec.quantity:<30} {register.function.name.lower():<8} {register.address:>7}"
        f" {register.layout.encoding:<5} {spec.poll:<5}"
    )
