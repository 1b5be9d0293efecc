"""Layout traps that cost a day each time somebody falls into one."""

import ast
import importlib.metadata
import re
from pathlib import Path

import pytest
import urllib3

ROOT = Path(__file__).parents[2]
PACKAGES = ("metering", "edge", "ingest", "dashboards", "simulators")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def test_our_package_names_belong_to_us_alone() -> None:
    """PyPI has packages named edge, metering and simulators."""
    owners = importlib.metadata.packages_distributions()

    assert {name: set(owners.get(name, ["zonewise"])) for name in PACKAGES} == {
        name: {"zonewise"} for name in PACKAGES
    }


def test_tests_are_no_packages() -> None:
    """`tests/edge/__init__.py` would shadow the package `edge`."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_influxdb_client_runs_on_the_real_urllib3() -> None:
    """grafana-client's urllib3-future overwrites the package under influxdb-client."""
    assert importlib.metadata.version("urllib3") == urllib3.__version__
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("urllib3-future")


@pytest.mark.parametrize(
    ("library", "owners"),
    [
        ("pymodbus", {"edge/drivers/", "simulators/"}),
        ("serial", {"edge/drivers/", "simulators/"}),
        ("paho", {"edge/uplink/mqtt", "ingest/receive/subscriber"}),
        ("influxdb_client", {"ingest/store"}),
        ("grafana_client", {"dashboards/grafana/push"}),
    ],
)
def test_each_foreign_library_has_one_door(library: str, owners: set[str]) -> None:
    users = {str(path.relative_to(ROOT)) for path in SOURCES if library in imports(path)}

    assert [user for user in users if not user.startswith(tuple(owners))] == []


def test_the_gateway_never_loads_what_is_heavy() -> None:
    """A gateway is a small machine: the InfluxDB client alone costs 16 MB."""
    loaded = {
        name for path in SOURCES if "edge" in path.relative_to(ROOT).parts[:1] for name in imports(path)
    }

    assert loaded.isdisjoint({"influxdb_client", "pandas", "numpy", "rich", "grafana_client"})


def test_broad_handlers_stand_at_one_supervision_point_per_program() -> None:
    broad = [
        path.relative_to(ROOT).parts[0]
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and _is_broad(node)
    ]

    assert sorted(broad) == sorted(set(broad))


def _is_broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) in {"Exception", "BaseException"}


def test_no_mocks() -> None:
    """What cannot be had is a labelled stand-in under tests/peers/."""
    pattern = re.compile(r"unittest\.mo" + r"ck|Magic" + r"Mock|monkeypatch\.set" + r"attr|mock" + r"er\b")
    users = [
        path for path in (ROOT / "tests").rglob("*.py") if pattern.search(path.read_text(encoding="utf-8"))
    ]

    assert users == []


def imports(path: Path) -> set[str]:
    """Return the top-level modules that a file imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found
