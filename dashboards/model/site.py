"""The park that dashboards are made for, and every name that it has in Grafana.

Parks are kept apart: each has its own data sources, folder and dashboards, and nothing in them can be
switched to another park (docs/decisions/0007). All uids are derived from the park's id and never change,
because links, alerts and permissions refer to them. Grafana takes at most 40 characters of `[a-zA-Z0-9_-]`.
Pure.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from metering.park.model import Park
from metering.series import raw_database, rollup_database

UID_LENGTH = 40
DEFAULT_LANGUAGE = "en"


class Source(StrEnum):
    """Which of a park's two databases a query reads."""

    RAW = "raw"
    ROLLUP = "rollup"


@dataclass(frozen=True, slots=True)
class Site:
    """A park as the dashboards need it.

    Attributes:
        park: Park id.
        name: Display name; also the folder's title.
        timezone: IANA name; days begin at its midnight.
        zones: Display names of zones by id: series contain ids only.
    """

    park: str
    name: str
    timezone: str
    zones: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder_uid(self) -> str:
        """Uid of the park's folder."""
        return uid(self.park, "park")

    def database(self, source: Source) -> str:
        """Database or bucket that a data source reads."""
        return raw_database(self.park) if source is Source.RAW else rollup_database(self.park)

    def source_uid(self, source: Source) -> str:
        """Uid of a data source."""
        return uid(self.park, source)

    def source_name(self, source: Source) -> str:
        """Name of a data source, unique in a Grafana organisation."""
        return f"zonewise {self.park} {source}"

    def board_uid(self, board: str, language: str = DEFAULT_LANGUAGE) -> str:
        """Uid of a dashboard; other languages than English have a suffix."""
        return uid(self.park, board if language == DEFAULT_LANGUAGE else f"{board}-{language}")


def uid(park: str, what: str) -> str:
    """Return `zonewise-<park>-<what>`; a park id too long for it is cut, with a hash to stay unique."""
    whole = f"zonewise-{park}-{what}"
    if len(whole) <= UID_LENGTH:
        return whole
    digest = hashlib.sha256(park.encode()).hexdigest()[:6]
    room = UID_LENGTH - len(f"zonewise--{digest}-{what}")
    return f"zonewise-{park[:room]}-{digest}-{what}"


def to_site(park: Park) -> Site:
    """Take from a park description what dashboards need."""
    zones = {zone.id: zone.name for zone in park.zones.values()}
    return Site(park=park.id, name=park.name, timezone=park.timezone.key, zones=zones)
