"""Write again what is generated and committed; with `--check`, only say what is not current."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from settings_page import settings_page

from dashboards.commands.sites import load_sites
from dashboards.grafana.committed import committed_files
from edge.config.gateway_file import GatewayFile
from ingest.config import IngestConfig
from metering.park.description import ParkDescription
from metering.program.config import json_schema

ROOT = Path(__file__).parents[1]

_DEMO_PARK = ROOT / "simulators/parks/demo/park.yaml"

#: Text per file, relative to the project.
GENERATED: Mapping[str, Callable[[], str]] = {
    "docs/schema/gateway.schema.json": lambda: json_schema(GatewayFile, title="gateway.yaml"),
    "docs/schema/ingest.schema.json": lambda: json_schema(IngestConfig, title="ingest.yaml"),
    "docs/settings.md": settings_page,
    "docs/schema/park.schema.json": lambda: json_schema(ParkDescription, title="park.yaml"),
}


def texts() -> dict[str, str]:
    """Return what every generated file should hold."""
    (demo,) = load_sites(_DEMO_PARK)
    return {**{name: text() for name, text in GENERATED.items()}, **committed_files(demo)}


def main() -> int:
    """Write or check; gives the exit code."""
    found = {name: text for name, text in texts().items() if not _is_current(ROOT / name, text)}
    if "--check" in sys.argv[1:]:
        sys.stderr.writelines(f"{name} is not current: run make generate\n" for name in found)
        return 1 if found else 0
    for name, text in found.items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {name}\n")
    return 0


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
