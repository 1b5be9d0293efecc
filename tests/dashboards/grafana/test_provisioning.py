"""Files from which a Grafana sets itself up."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dashboards.__main__ import cli
from dashboards.grafana.provisioning import Access, data_sources_file, env_secret, file_secret, providers_file
from dashboards.model.site import Site, Source

SITES = (Site("demo", "Demo $park", "Europe/Ljubljana"), Site("north", "North", "Europe/Vienna"))
PARK_YAML = """
park: demo
name: Demo park
timezone: Europe/Ljubljana
zones: {hall-a: {name: Hall A}}
meters: {a-main: {medium: electricity, place: hall-a}}
"""


def test_one_data_source_per_database() -> None:
    loaded = yaml.safe_load(data_sources_file(SITES, Access("http://influxdb:8086"), organisation=1))

    assert loaded["apiVersion"] == 1
    assert [(one["uid"], one["jsonData"]["dbName"]) for one in loaded["datasources"]] == [
        ("zonewise-demo-raw", "demo_raw"),
        ("zonewise-demo-rollup", "demo_rollup"),
        ("zonewise-north-raw", "north_raw"),
        ("zonewise-north-rollup", "north_rollup"),
    ]
    assert {one["jsonData"]["httpMode"] for one in loaded["datasources"]} == {"POST"}
    assert {one["jsonData"]["timeInterval"] for one in loaded["datasources"]} == {"10s"}


def test_a_token_travels_as_a_header_and_stays_in_its_file() -> None:
    access = Access("http://influxdb:8086", secret=file_secret("/secrets/token"))
    source = yaml.safe_load(data_sources_file(SITES[:1], access, organisation=1))["datasources"][0]

    assert source["jsonData"]["httpHeaderName1"] == "Authorization"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token $__file{/secrets/token}"}


def test_a_password_travels_as_basic_authentication() -> None:
    access = Access("http://influxdb:8086", username="grafana", secret=env_secret("INFLUX_PASSWORD"))
    source = yaml.safe_load(data_sources_file(SITES[:1], access, organisation=1))["datasources"][0]

    assert (source["basicAuth"], source["basicAuthUser"]) == (True, "grafana")
    assert source["secureJsonData"] == {"basicAuthPassword": "$__env{INFLUX_PASSWORD}"}


def test_an_open_store_needs_no_secret() -> None:
    source = yaml.safe_load(data_sources_file(SITES[:1], Access("http://x:1"), organisation=1))[
        "datasources"
    ][0]

    assert "secureJsonData" not in source


def test_a_user_without_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="password"):
        Access("http://x:1", username="grafana")


def test_each_park_has_a_folder_of_its_own() -> None:
    loaded = yaml.safe_load(providers_file(SITES, "/boards", organisation=7))

    assert [(p["folderUid"], p["options"]["path"], p["orgId"]) for p in loaded["providers"]] == [
        ("zonewise-demo-park", "/boards/demo", 7),
        ("zonewise-north-park", "/boards/north", 7),
    ]
    assert loaded["providers"][0]["folder"] == "Demo $$park", "Grafana would replace a single $"


def test_build_writes_what_grafana_reads(tmp_path: Path) -> None:
    park = tmp_path / "park.yaml"
    park.write_text(PARK_YAML, encoding="utf-8")
    out = tmp_path / "out"

    done = CliRunner().invoke(
        cli, ["build", "--park", str(park), "--out", str(out), "--secret-file", "/s/token"]
    )

    assert done.exit_code == 0, done.output
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert written == {
        "provisioning/datasources/zonewise.yaml",
        "provisioning/dashboards/zonewise.yaml",
        "dashboards/demo/zones.json",
        "dashboards/demo/health.json",
    }
    provider = yaml.safe_load((out / "provisioning/dashboards/zonewise.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] == "/etc/grafana/zonewise/demo"
    known = {Site("demo", "", "UTC").source_uid(source) for source in Source}
    board = json.loads((out / "dashboards/demo/zones.json").read_text())
    assert {panel["datasource"]["uid"] for panel in board["panels"] if "datasource" in panel} <= known


def test_build_again_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "park.yaml").write_text(PARK_YAML, encoding="utf-8")
    arguments = ["build", "--park", str(tmp_path / "park.yaml"), "--out", str(tmp_path / "out")]

    first = CliRunner().invoke(cli, arguments)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    second = CliRunner().invoke(cli, arguments)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", ["build", "push", "verify"])
def test_help_has_an_example_and_fits_the_terminal(command: str) -> None:
    done = CliRunner().invoke(cli, [command, "--help"], terminal_width=80)

    assert done.exit_code == 0
    assert "Example:" in done.output
    assert max(len(line) for line in done.output.splitlines()) <= 80
