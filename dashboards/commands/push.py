"""`zonewise-dashboards push`: into a Grafana that is running."""

from pathlib import Path

import click

from dashboards.commands.options import language_option, park_option, sites
from dashboards.grafana.provisioning import Access
from dashboards.model.languages import load_texts

_NEEDS_EXTRA = """push needs grafana-client, which is kept apart from the other programs.
Install it into an environment of its own, from a checkout:
  python3 -m venv .venv-grafana
  URLLIB3_NO_OVERRIDE=1 .venv-grafana/bin/pip install \\
    --no-binary urllib3-future -e '.[dashboards,grafana]'
then run .venv-grafana/bin/zonewise-dashboards push ..."""


@click.command()
@park_option
@click.option("--url", required=True, help="Grafana, such as https://grafana.example.org.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Token of a Grafana service account with the role Admin.",
)
@click.option(
    "--store-url", default="http://127.0.0.1:8086", show_default=True, help="InfluxDB, as seen from Grafana."
)
@click.option("--store-username", default="", help="User of InfluxDB 1.x.")
@click.option(
    "--store-secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with InfluxDB's read-only token (2.x, 3) or password (1.x).",
)
@language_option
def command(
    *,
    parks: tuple[Path, ...],
    url: str,
    token_file: Path,
    store_url: str,
    store_username: str,
    store_secret_file: Path | None,
    language: str,
) -> None:
    """Put folder, data sources and dashboards into a running Grafana.

    Safe to repeat: what is there already is brought up to date.

    \b
    Example:
      zonewise-dashboards push --url http://127.0.0.1:3000 \\
        --token-file grafana-token --park parks \\
        --store-url http://influxdb:8086 --store-secret-file read-token
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    try:
        from dashboards.grafana.push import push  # noqa: PLC0415 - an extra that only this command needs
    except ModuleNotFoundError as error:
        raise click.ClickException(_NEEDS_EXTRA) from error
    if store_username and store_secret_file is None:
        raise click.UsageError("--store-username needs --store-secret-file")
    secret = _read(store_secret_file) if store_secret_file else ""
    access = Access(url=store_url, username=store_username, secret=secret)
    found, texts, token = sites(parks), load_texts(language), _read(token_file)
    for site in found:
        for pushed in push(url, token, site, access, texts):
            click.echo(f"{pushed.outcome:<10} {pushed.what:<12} {pushed.uid}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error
