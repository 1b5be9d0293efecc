"""`zonewise-dashboards push` through the real grafana-client, against the stand-in of tests/peers/grafana.py.

grafana-client has an environment of its own (docs/decisions/0005), so the command runs as a process of
that environment; where there is none, the tests that need it are skipped and say so.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.grafana import Grafana, running

ROOT = Path(__file__).parents[3]
APART = ROOT / ".venv-grafana/bin/python"
HAS_CLIENT_HERE = importlib.util.find_spec("grafana_client") is not None
PYTHON = Path(sys.executable) if HAS_CLIENT_HERE else APART
needs_client = pytest.mark.skipif(
    not PYTHON.is_file(), reason="grafana-client is not installed: make .venv-grafana/ready installs it apart"
)
PARK_YAML = """
park: demo
name: {name}
timezone: Europe/Ljubljana
zones: {{hall-a: {{name: Hall A}}}}
meters: {{a-main: {{medium: electricity, place: hall-a}}}}
"""


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with running("grafana-token") as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "park.yaml").write_text(PARK_YAML.format(name="Demo park"), encoding="utf-8")
    (tmp_path / "grafana-token").write_text("grafana-token\n", encoding="utf-8")
    (tmp_path / "read-token").write_text("read-token\n", encoding="utf-8")
    return tmp_path


def push(folder: Path, url: str, python: Path = PYTHON) -> subprocess.CompletedProcess[str]:
    arguments = {
        "--park": folder / "park.yaml",
        "--token-file": folder / "grafana-token",
        "--url": url,
        "--store-url": "http://influxdb:8086",
        "--store-secret-file": folder / "read-token",
    }
    options = [str(part) for pair in arguments.items() for part in pair]
    return subprocess.run(
        [python, "-m", "dashboards", "push", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )


@needs_client
def test_everything_arrives_in_its_place(grafana: Grafana, folder: Path) -> None:
    done = push(folder, grafana.url)

    assert done.returncode == 0, done.stderr
    assert {uid: one["title"] for uid, one in grafana.folders.items()} == {"zonewise-demo-park": "Demo park"}
    assert set(grafana.sources) == {"zonewise-demo-raw", "zonewise-demo-rollup"}
    assert grafana.sources["zonewise-demo-raw"]["secureJsonData"] == {"httpHeaderValue1": "Token read-token"}
    assert {uid: one["meta"]["folderUid"] for uid, one in grafana.dashboards.items()} == {
        "zonewise-demo-zones": "zonewise-demo-park",
        "zonewise-demo-health": "zonewise-demo-park",
    }


@needs_client
def test_a_second_push_changes_nothing(grafana: Grafana, folder: Path) -> None:
    push(folder, grafana.url)
    grafana.calls.clear()

    done = push(folder, grafana.url)

    assert done.returncode == 0, done.stderr
    # A secret cannot be compared, so data sources are written again.
    assert grafana.calls == [
        "PUT /datasources/uid/zonewise-demo-raw",
        "PUT /datasources/uid/zonewise-demo-rollup",
    ]
    assert {one["dashboard"]["version"] for one in grafana.dashboards.values()} == {1}


@needs_client
def test_what_somebody_changed_is_put_right(grafana: Grafana, folder: Path) -> None:
    push(folder, grafana.url)
    changed = grafana.dashboards["zonewise-demo-zones"]
    changed["dashboard"] |= {"title": "Mine", "version": 5}
    changed["meta"]["folderUid"] = ""

    done = push(folder, grafana.url)

    assert done.returncode == 0, done.stderr
    assert "updated    dashboard    zonewise-demo-zones" in done.stdout
    assert grafana.dashboards["zonewise-demo-zones"]["dashboard"]["title"] == "Demo park: Zone overview"
    assert grafana.dashboards["zonewise-demo-zones"]["meta"] == {"folderUid": "zonewise-demo-park"}


@needs_client
def test_a_park_that_was_renamed_renames_its_folder(grafana: Grafana, folder: Path) -> None:
    push(folder, grafana.url)
    (folder / "park.yaml").write_text(PARK_YAML.format(name="Park North"), encoding="utf-8")

    push(folder, grafana.url)

    assert [one["title"] for one in grafana.folders.values()] == ["Park North"]


@needs_client
def test_a_name_that_is_taken_is_told(grafana: Grafana, folder: Path) -> None:
    grafana.sources["handmade"] = {"uid": "handmade", "name": "zonewise demo raw", "version": 1}

    done = push(folder, grafana.url)

    assert done.returncode == 1
    assert "same name already exists" in done.stderr
    assert "Traceback" not in done.stderr


@needs_client
def test_a_wrong_token_is_told(grafana: Grafana, folder: Path) -> None:
    (folder / "grafana-token").write_text("wrong", encoding="utf-8")

    done = push(folder, grafana.url)

    assert done.returncode == 1
    assert "Unauthorized" in done.stderr
    assert grafana.folders == {}


@needs_client
def test_a_grafana_that_is_not_there_is_told(folder: Path) -> None:
    with running("x") as gone:
        url = gone.url

    done = push(folder, url)

    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(HAS_CLIENT_HERE, reason="grafana-client is installed here")
def test_without_grafana_client_the_way_to_it_is_told(folder: Path) -> None:
    done = push(folder, "http://127.0.0.1:9", Path(sys.executable))

    assert done.returncode == 1
    assert "URLLIB3_NO_OVERRIDE=1" in done.stderr
    assert "Traceback" not in done.stderr


@needs_client
def test_grafana_client_leaves_the_real_urllib3_alone() -> None:
    """Its urllib3-future would otherwise take the place of urllib3 under influxdb-client."""
    program = (
        "import importlib.metadata as m, urllib3, grafana_client;"
        "assert urllib3.__version__ == m.version('urllib3'), urllib3.__version__;"
        "assert urllib3.__version__ != m.version('urllib3-future')"
    )

    subprocess.run([PYTHON, "-c", program], check=True)
