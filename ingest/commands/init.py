"""`zonewise-ingest init`: the databases of the parks, and on 2.x the tokens."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from ingest.commands.options import config_option
from ingest.config import IngestConfig, load_config
from ingest.provisioning import secret_files
from ingest.store.contract import Store, TokenMaker
from ingest.store.errors import StoreDenied
from ingest.store.influx import open_store
from ingest.store.settings import Flavour, StoreConfig
from metering.park.file import load_parks
from metering.series import raw_database, rollup_database

#: Who may create, by flavour.
_NEEDED = {
    Flavour.ONE: "init needs an administrator as username in the configuration",
    Flavour.TWO: "init needs the operator's token (--admin-token-file) and its organisation (org)",
    Flavour.THREE: "init needs an administrator's token (--admin-token-file)",
}
#: File, description in InfluxDB, and whether it may write.
_TOKENS = (
    ("influxdb-ingest-token", "zonewise ingest and rollup", True),
    ("influxdb-grafana-token", "zonewise Grafana", False),
)


@click.command()
@config_option
@click.option(
    "--tokens",
    "maybe_tokens",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the tokens of ingest and Grafana (flavour 2).",
)
@click.option(
    "--admin-token-file",
    "maybe_admin_token",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Operator's token, if the one in the configuration may not create (flavours 2 and 3).",
)
def command(*, config_path: Path, maybe_tokens: Path | None, maybe_admin_token: Path | None) -> None:
    """Create the databases of every park where they are missing.

    Needs an administrator of InfluxDB: on flavour 1 the user in the configuration (none while authorisation
    is off), on flavours 2 and 3 the token in the configuration or --admin-token-file. May be run again at
    any time; nothing that is there is changed.

    \b
    Examples:
      zonewise-ingest init --config ingest.yaml
      zonewise-ingest init --admin-token-file secrets/influxdb-admin-token \\
        --tokens secrets
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    config = load_config(config_path)
    if maybe_tokens is not None and config.store.flavour is not Flavour.TWO:
        raise click.UsageError("--tokens is for flavour 2; flavour 1 has users, made with the influx shell")
    databases = _databases(config)
    with closing(_open(config, maybe_admin_token)) as store:
        try:
            for name in databases:
                click.echo(f"database {name}: {'created' if store.ensure(name) else 'is there'}")
            if maybe_tokens is not None and isinstance(store, TokenMaker):
                _make_tokens(store, config.store, databases, maybe_tokens)
        except StoreDenied as error:
            raise click.ClickException(f"{error}; {_NEEDED[config.store.flavour]}") from error


def _open(config: IngestConfig, maybe_admin_token: Path | None) -> Store:
    if maybe_admin_token is None:
        return open_store(config.store)
    return open_store(config.store.model_copy(update={"token_file": maybe_admin_token}))


def _databases(config: IngestConfig) -> tuple[str, ...]:
    parks = load_parks(config.parks)
    return tuple(name for park in sorted(parks) for name in (raw_database(park), rollup_database(park)))


def _make_tokens(maker: TokenMaker, config: StoreConfig, databases: Sequence[str], folder: Path) -> None:
    for name, description, may_write in _TOKENS:
        path = folder / name
        if path.exists():
            click.echo(f"token {path}: is there, kept")
            hidden = _hidden(config.model_copy(update={"token_file": path}), databases)
            if hidden:
                click.echo(
                    f"  but it is not for {', '.join(hidden)}: delete the file and run init again", err=True
                )
            continue
        secret_files.create(path, maker.create_token(databases, description=description, may_write=may_write))
        click.echo(f"token {path}: created, {'read and write' if may_write else 'read only'}")


def _hidden(config: StoreConfig, databases: Sequence[str]) -> list[str]:
    """Return the databases that a token does not see: made after it, or made again."""
    with closing(open_store(config)) as store:
        try:
            return [name for name in databases if not store.exists(name)]
        except StoreDenied:
            return list(databases)
