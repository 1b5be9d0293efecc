"""Write again what is generated and committed. `--check` only says what is not current."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from metering.config import json_schema
from metering.park_file import ParkDescription

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "docs" / "schema"


#: Text per file, relative to the project.
GENERATED: Mapping[str, Callable[[], str]] = {
    "docs/schema/park.schema.json": lambda: json_schema(ParkDescription, title="park.yaml"),
}


def main() -> int:
    """Write or check; gives the exit code."""
    stale = [name for name, text in GENERATED.items() if not _is_current(ROOT / name, text())]
    for name in stale:
        if "--check" in sys.argv[1:]:
            sys.stderr.write(f"{name} is not current: run make generate\n")
        else:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(GENERATED[name](), encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")
    return 1 if stale and "--check" in sys.argv[1:] else 0


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
