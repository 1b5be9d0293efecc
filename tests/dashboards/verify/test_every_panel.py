"""Every panel's query on a real InfluxDB: a dashboard that shows nothing is a fault."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from dashboards.boards.table import boards
from dashboards.model.queries import ZONES, gateway_accounts, gateway_online, live, open_events
from dashboards.model.site import Site, Source
from dashboards.verify.panels import table, verify
from dashboards.verify.render import Range, render
from ingest.store.line_protocol import encode_point
from metering.series import Level
from tests.dashboards.filled import GATEWAYS, LOST, FilledPark, group_tags

pytestmark = pytest.mark.servers
PARK_YAML = """
park: test-park
name: Test park
timezone: Europe/Ljubljana
zones: {hall-a: {name: Hall A}, hall-b: {name: Hall B}}
meters: {a-main: {medium: electricity, place: hall-a}}
"""


def test_every_query_gives_series_with_values(any_filled_park: FilledPark) -> None:
    checks = [
        check
        for board in boards(any_filled_park.site)
        for check in verify(board, any_filled_park.site, any_filled_park.store, now=any_filled_park.now)
    ]

    assert [check for check in checks if not check.is_good] == [], table(checks)
    assert len(checks) > 50


def test_the_query_for_events_runs(any_filled_park: FilledPark) -> None:
    """There need not be any: a healthy park has none."""
    shown = Range(any_filled_park.now - timedelta(days=1), any_filled_park.now)
    text = render(open_events("en"), shown, interval="1m", variables={})

    assert any_filled_park.store.query(any_filled_park.site.database(Source.ROLLUP), text) == []


def test_a_lost_gateway_keeps_its_last_figures(any_filled_park: FilledPark) -> None:
    """Its last will says 0 for all of them."""
    database = any_filled_park.site.database(Source.ROLLUP)
    shown = Range(any_filled_park.now - timedelta(days=1), any_filled_park.now)
    online, accounts = (
        {
            series.tags["gateway"]: dict(zip(series.columns, series.rows[0], strict=True))
            for series in any_filled_park.store.query(
                database, render(text, shown, interval="1m", variables={"gateway": GATEWAYS})
            )
        }
        for text in (gateway_online(), gateway_accounts())
    )

    assert online[LOST]["online"] == 0
    assert accounts[LOST]["held"] == 5
    assert accounts[LOST]["unaccounted"] == 0


def test_a_silent_or_partial_zone_says_so_at_once(any_filled_park: FilledPark) -> None:
    """Though its last whole figure is seconds old."""
    park, database = any_filled_park.site.park, any_filled_park.site.database(Source.ROLLUP)
    later = any_filled_park.now + timedelta(minutes=10)
    at_ms = int(later.timestamp() * 1000)
    points = {
        "silent": [{"power": 5e3, "power_coverage": 1.0}, {"power_coverage": 0.0, "power_fresh": 0}],
        "partial": [{"power": 5e3, "power_coverage": 1.0}, {"power_at_least": 4e3, "power_coverage": 0.5}],
        "whole": [{"power_coverage": 0.0}, {"power": 3e3, "power_coverage": 1.0}],
        "dry": [{"flow": 1.0, "flow_coverage": 1.0}],
    }
    lines = [
        encode_point("group_live", group_tags(park, Level.ZONE, zone), fields, at_ms - 20_000 + 10_000 * i)
        for zone, course in points.items()
        for i, fields in enumerate(course)
    ]
    any_filled_park.store.write(database, b"\n".join(lines))

    text = render(
        live("power", where=ZONES),
        Range(later - timedelta(minutes=1), later),
        interval="10s",
        variables={"zone": tuple(points)},
    )
    rows = {
        one.tags["group"]: dict(zip(one.columns, one.rows[0], strict=True))
        for one in any_filled_park.store.query(database, text)
    }

    assert {zone: (row["live"], row["now"], row["at_least"]) for zone, row in rows.items()} == {
        "silent": (0, None, None),
        "partial": (0.5, None, 4e3),
        "whole": (1, 3e3, None),
    }
    assert (rows["silent"]["answering"], rows["silent"]["meters"]) == (0, None)


def test_an_empty_store_is_told_panel_by_panel(filled_park: FilledPark) -> None:
    """The same park a year earlier."""
    board = boards(filled_park.site)[0]
    checks = list(
        verify(board, filled_park.site, filled_park.store, now=filled_park.now - timedelta(days=365))
    )

    bad = {check.name for check in checks if not check.is_good}
    assert {"power-now", "energy-use", "meter-power"} <= bad
    assert "EMPTY" in table(checks)


def test_a_missing_database_is_a_problem_not_a_crash(filled_park: FilledPark) -> None:
    site = Site("nobody", "Nobody", "UTC")

    checks = list(verify(boards(site)[1], site, filled_park.store, now=filled_park.now))

    assert all("database not found" in check.problem for check in checks)
    assert table(checks).count("database not found") == 2, "once per database"


def test_nothing_is_expected_of_today_just_after_midnight(filled_park: FilledPark) -> None:
    at_ten_past = filled_park.now.replace(hour=23, minute=10) - timedelta(days=365)
    site = Site("test-park", "Test park", "Etc/GMT-1")

    checks = {
        check.name: check for check in verify(boards(site)[0], site, filled_park.store, now=at_ten_past)
    }

    assert checks["energy-today"].is_good
    assert not checks["energy-yesterday"].is_good


def test_the_command_prints_a_table_and_its_exit_code_tells(filled_park: FilledPark, tmp_path: Path) -> None:
    """Run at the real time, when the filled data are partly hours old: only the form is tested."""
    park = tmp_path / "park.yaml"
    park.write_text(PARK_YAML, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "dashboards", "verify", "--park", park, "--url", filled_park.url],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode in {0, 1}, done.stderr
    assert "energy-use" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_a_store_that_does_not_answer_is_told_once(tmp_path: Path) -> None:
    park = tmp_path / "park.yaml"
    park.write_text(PARK_YAML, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "dashboards", "verify", "--park", park, "--url", "http://127.0.0.1:1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.count("does not answer") == 1
    assert "Traceback" not in done.stderr


def test_the_command_lists_what_is_wrong_with_its_options(tmp_path: Path) -> None:
    park = tmp_path / "park.yaml"
    park.write_text(PARK_YAML, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "dashboards", "verify", "--park", park, "--flavour", "2"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "token" in done.stderr
    assert "org" in done.stderr
    assert "Traceback" not in done.stderr
