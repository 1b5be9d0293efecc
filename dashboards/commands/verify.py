"""`zonewise-dashboards verify`: every panel's query against a live InfluxDB."""

import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from dashboards.boards.table import boards
from dashboards.commands.options import park_option, sites
from dashboards.verify.panels import Check, table, verify
from ingest.store.influx import open_store
from ingest.store.settings import Flavour, StoreConfig
from metering.errors import ConfigError, Problem


@click.command()
@park_option
@click.option("--url", default="http://127.0.0.1:8086", show_default=True, help="InfluxDB.")
@click.option(
    "--flavour", type=click.Choice(["1", "2", "3"]), default="1", show_default=True, help="Its version."
)
@click.option("--username", help="User of InfluxDB 1.x.")
@click.option("--password-file", type=click.Path(exists=True, path_type=Path), help="Its password.")
@click.option(
    "--token-file", type=click.Path(exists=True, path_type=Path), help="Token of InfluxDB 2.x or 3."
)
@click.option("--org", default=None, help="Organisation of InfluxDB 2.x.")
def command(
    *,
    parks: tuple[Path, ...],
    url: str,
    flavour: str,
    username: str | None,
    password_file: Path | None,
    token_file: Path | None,
    org: str | None,
) -> None:
    """Run every panel's query against a live InfluxDB.

    Ends with exit code 1 when one shows nothing.

    \b
    Example:
      zonewise-dashboards verify --park parks --url http://127.0.0.1:8086
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    config = StoreConfig(
        flavour=Flavour(int(flavour)),
        url=url,
        username=username,
        password_file=password_file,
        token_file=token_file,
        org=org,
    )
    problems = [Problem("verify", 0, 0, message) for _, message in config.problems()]
    if problems:
        raise ConfigError(problems)
    checks = _checks(config, parks)
    click.echo(table(checks))
    bad = sum(not check.is_good for check in checks)
    click.echo(f"{len(checks) - bad} of {len(checks)} queries show something")
    sys.exit(1 if bad else 0)


def _checks(config: StoreConfig, parks: tuple[Path, ...]) -> list[Check]:
    now = datetime.now(UTC)
    with closing(open_store(config)) as store:
        return [
            check
            for site in sites(parks)
            for board in boards(site)
            for check in verify(board, site, store, now=now)
        ]
