"""`zonewise-dashboards build`: the files with which a Grafana sets itself up."""

from collections.abc import Mapping
from pathlib import Path

import click

from dashboards.commands.options import language_option, park_option, sites
from dashboards.grafana.files import dashboard_files
from dashboards.grafana.provisioning import Access, data_sources_file, env_secret, file_secret, providers_file
from dashboards.model.languages import load_texts


@click.command()
@park_option
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write to."
)
@click.option(
    "--store-url", default="http://127.0.0.1:8086", show_default=True, help="InfluxDB, as seen from Grafana."
)
@click.option("--username", default="", help="User of InfluxDB 1.x.")
@click.option("--secret-file", default="", help="File with the token or password, as seen from Grafana.")
@click.option("--secret-env", default="", help="Instead: variable of Grafana's environment.")
@click.option(
    "--dashboards-path",
    default="/etc/grafana/zonewise",
    show_default=True,
    help="Where Grafana sees the folder `dashboards` of --out.",
)
@click.option("--org-id", default=1, show_default=True, help="Organisation of Grafana.")
@language_option
def command(
    *,
    parks: tuple[Path, ...],
    out: Path,
    store_url: str,
    username: str,
    secret_file: str,
    secret_env: str,
    dashboards_path: str,
    org_id: int,
    language: str,
) -> None:
    """Write dashboards and provisioning files.

    \b
    Writes below --out:
      provisioning/datasources/zonewise.yaml   one data source per database
      provisioning/dashboards/zonewise.yaml    one folder per park
      dashboards/PARK/*.json                   the dashboards
    Put the first two below Grafana's own provisioning folder.

    \b
    Example:
      zonewise-dashboards build --park parks --out grafana \\
        --store-url http://influxdb:8086 --secret-file /secrets/grafana-token
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    secret = file_secret(secret_file) if secret_file else env_secret(secret_env) if secret_env else ""
    if username and not secret:
        raise click.UsageError("--username needs --secret-file or --secret-env")
    access = Access(url=store_url, username=username, secret=secret)
    found, texts = sites(parks), load_texts(language)
    files = {
        "provisioning/datasources/zonewise.yaml": data_sources_file(found, access, organisation=org_id),
        "provisioning/dashboards/zonewise.yaml": providers_file(found, dashboards_path, organisation=org_id),
    }
    for site in found:
        for name, text in dashboard_files(site, texts).items():
            files[f"dashboards/{site.park}/{name}"] = text
    _write(out, files)
    click.echo(f"wrote {len(files)} files for {len(found)} park(s) to {out}")


def _write(out: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
