"""What the tests of ingest share: a configuration file with one small park."""

from pathlib import Path

import pytest

PARK = """\
park: demo
name: Demo
timezone: Europe/Ljubljana
zones: {z1: {name: Zone 1}}
meters:
  z1-main: {medium: electricity, place: z1, gateway: gw-1}
  z1-water:
    medium: water
    place: z1
    gateway:
      - {gateway: gw-1, valid_to: 2026-01-01}
      - {gateway: gw-2, valid_from: 2026-01-01}
"""

INGEST = """\
broker: {host: 127.0.0.1}
store: {flavour: 1, url: "http://127.0.0.1:1"}
parks: parks
data: data
"""


@pytest.fixture
def ingest_yaml(tmp_path: Path) -> Path:
    """The path of an ingest.yaml beside a folder with one park."""
    (tmp_path / "parks").mkdir()
    (tmp_path / "parks" / "demo.yaml").write_text(PARK, encoding="utf-8")
    path = tmp_path / "ingest.yaml"
    path.write_text(INGEST, encoding="utf-8")
    return path
