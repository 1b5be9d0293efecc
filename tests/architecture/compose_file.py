"""compose.yaml, read once for the tests that check it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
#: Services that run our image.
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("zonewise:")}


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume or file of the project in a container."""

    source: str
    target: str
    is_read_only: bool

    @property
    def is_file_of_ours(self) -> bool:
        """Whether it is a path of the project, not a named volume."""
        return self.source.startswith(".")


def mounts(service: Mapping[str, Any]) -> Iterator[Mount]:
    for text in service.get("volumes", ()):
        source, target, *mode = text.split(":")
        yield Mount(source, target, mode == ["ro"])
