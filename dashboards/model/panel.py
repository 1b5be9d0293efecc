"""What a dashboard consists of, before it becomes Grafana's JSON. Pure.

Panel ids are written in the code, never counted: links, alerts and other languages refer to them. An id is
not used again for another panel.
"""

from dataclasses import dataclass
from enum import StrEnum

from dashboards.model.queries import Query
from dashboards.model.site import Source

GRID_WIDTH = 24


class View(StrEnum):
    """How a panel shows its values; Grafana's own panel types."""

    STAT = "stat"
    LINES = "lines"
    BARS = "bars"
    GAUGES = "gauges"
    STATES = "states"
    TABLE = "table"


class Scale(StrEnum):
    """Which colours and words a value has."""

    PLAIN = "plain"
    QUALITY = "quality"
    ONLINE = "online"
    COVERAGE = "coverage"
    FAULTS = "faults"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the query's name for it, and its unit. Others are hidden."""

    name: str
    unit: str = "string"
    scale: Scale = Scale.PLAIN


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        id: Never reused within its dashboard.
        key: Key of title and description in the `panels` of a language.
        unit: Grafana's unit id (`dashboards.model.units`).
        width: Of 24.
        interval: Shortest step of a graph: the spacing of the points, so that there are no holes.
        since: Range of its own instead of the dashboard's, such as `now/d` or `5m`.
        shift: Moves that range back, such as `1d/d`.
        sort: Column by which a table is sorted, largest first.
        stacked: Whether lines or bars add up to a whole.
        limit: Largest value on the axis, where there is one.
    """

    id: int
    key: str
    view: View
    unit: str
    queries: tuple[Query, ...]
    width: int = 12
    height: int = 8
    interval: str = ""
    since: str = ""
    shift: str = ""
    scale: Scale = Scale.PLAIN
    columns: tuple[Column, ...] = ()
    sort: str = ""
    stacked: bool = False
    limit: float | None = None
    decimals: int | None = None

    def __post_init__(self) -> None:
        if not self.queries or len({query.source for query in self.queries}) != 1:
            raise ValueError(f"panel {self.key}: needs queries, all of one data source")
        if not 1 <= self.width <= GRID_WIDTH:
            raise ValueError(f"panel {self.key}: {self.width} columns do not fit {GRID_WIDTH}")
        if (self.view is View.TABLE) != bool(self.columns):
            raise ValueError(f"panel {self.key}: a table, and only a table, has columns")

    @property
    def source(self) -> Source:
        """The one data source of its queries."""
        return self.queries[0].source


@dataclass(frozen=True, slots=True)
class Section:
    """A titled row of panels; `id` is the row's own panel id."""

    id: int
    key: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of the dashboard, its values from a query; all are chosen at first."""

    name: str
    source: Source
    query: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice between fixed values, such as widths of bars; the first is the default."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard.

    Attributes:
        key: File name, uid, and key in the `boards` of a language.
        since: Range at first, such as `now-7d`.
        refresh: How often it reloads, such as `1m`.
        sibling: Key of the dashboard that it links to.
    """

    key: str
    since: str
    refresh: str
    sibling: str
    sections: tuple[Section, ...]
    variables: tuple[Variable, ...]
    choices: tuple[Choice, ...] = ()

    def __post_init__(self) -> None:
        ids = [i for section in self.sections for i in (section.id, *(panel.id for panel in section.panels))]
        if len(set(ids)) != len(ids):
            raise ValueError(f"dashboard {self.key}: a panel id stands twice")

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, from top to bottom."""
        return tuple(panel for section in self.sections for panel in section.panels)
