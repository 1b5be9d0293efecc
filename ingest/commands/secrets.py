"""`zonewise-ingest secrets`: passwords and tokens for a new installation."""

import grp
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ingest.provisioning import broker_files, secret_files
from metering.park.file import load_parks

#: One secret each; InfluxDB's set-up variables (DOCKER_INFLUXDB_INIT_*_FILE) and Grafana's name these files.
_SINGLE: Mapping[str, Callable[[], str]] = {
    "influxdb-username": lambda: "zonewise",
    "influxdb-password": secret_files.new_secret,
    "influxdb-admin-token": secret_files.new_secret,
    "grafana-admin-password": secret_files.new_secret,
}
_PASSWORDS = "mosquitto-passwords"
_INGEST_PASSWORDS = "mosquitto-passwords-ingest"
_ACL = "mosquitto-acl"


@dataclass(frozen=True, slots=True)
class _Folder:
    """The folder of secrets, and the mode of what is made in it."""

    path: Path
    mode: int

    def make(self, name: str, text: str) -> None:
        """Make a file that is missing, and print its name, never its content."""
        is_new = secret_files.create(self.path / name, text, mode=self.mode)
        click.echo(f"{name}: {'created' if is_new else 'is there, kept'}")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option(
    "--parks",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of park descriptions: their gateways become users of the broker.",
)
@click.option(
    "--mode",
    type=click.Choice(["600", "640", "644"]),
    default="600",
    show_default=True,
    help="Mode of the files; wider where containers with other users mount the folder.",
)
@click.option(
    "--broker-group",
    "maybe_group",
    metavar="GROUP",
    help="Group of the user that Mosquitto runs as (Debian: mosquitto); may read its three files, no others.",
)
def command(*, folder: Path, parks: Path, mode: str, maybe_group: str | None) -> None:
    """Fill DIR with passwords and tokens; nothing is ever overwritten.

    \b
    Makes:
      influxdb-username, influxdb-password, influxdb-admin-token
      grafana-admin-password
      mqtt-USER            password of each user of the broker:
                           `ingest`, and PARK.GATEWAY for each gateway
      mosquitto-passwords  the same, hashed: password_file of the listener
                           for gateways
      mosquitto-passwords-ingest
                           ingest's alone: that of the listener for ingest
      mosquitto-acl        for its acl_file: each gateway its own topics
    Run again after a gateway was added: it gets its user, the others stay.

    \b
    Example:
      zonewise-ingest secrets /etc/zonewise/secrets --parks parks \\
        --broker-group mosquitto
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    maybe_group_id = None if maybe_group is None else _group_id(maybe_group)
    rules = broker_files.rules(load_parks(parks).values())
    target = _Folder(folder, int(mode, 8))
    for name, draw in _SINGLE.items():
        target.make(name, draw())
    for user in rules:
        target.make(f"mqtt-{user}", secret_files.new_secret())
    _complete_passwords(target, _PASSWORDS, tuple(rules))
    _complete_passwords(target, _INGEST_PASSWORDS, (broker_files.INGEST_USER,))
    _complete_acl(target, rules)
    if maybe_group_id is not None:
        _share(target, maybe_group_id)


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise click.BadParameter(
            f"no group {name!r} on this machine: install Mosquitto first", param_hint="--broker-group"
        ) from error


def _share(target: _Folder, group: int) -> None:
    try:
        for name in (_PASSWORDS, _INGEST_PASSWORDS, _ACL):
            secret_files.share(target.path / name, group)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename} cannot be given to the group: {error.strerror}"
        ) from error


def _complete_passwords(target: _Folder, name: str, users: tuple[str, ...]) -> None:
    """Add the users that a password file lacks; the entries that it has stay as they are."""
    path = target.path / name
    present = broker_files.users_in(path.read_text(encoding="utf-8")) if path.exists() else {}
    added = {
        user: broker_files.hashed(
            (target.path / f"mqtt-{user}").read_text(encoding="utf-8").strip(),
            secrets.token_bytes(broker_files.SALT_BYTES),
        )
        for user in users
        if user not in present
    }
    if added:
        text = broker_files.password_file({**present, **added})
        secret_files.replace(path, text, mode=target.mode)
    click.echo(f"{name}: {len(present)} users kept, {len(added)} added")


def _complete_acl(target: _Folder, rules: Mapping[str, Sequence[str]]) -> None:
    """Add the users that the ACL file lacks; what a person wrote there stays."""
    path = target.path / _ACL
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    present = broker_files.users_in_acl(text)
    added = {user: lines for user, lines in rules.items() if user not in present}
    if added:
        secret_files.replace(path, text + broker_files.acl_sections(added), mode=target.mode)
    click.echo(f"{_ACL}: {len(present)} users kept, {len(added)} added")
