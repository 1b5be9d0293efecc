"""Places panels on Grafana's grid of 24 columns, from left to right and top to bottom. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from dashboards.model.panel import GRID_WIDTH, Panel, Section

_HEADER_HEIGHT = 1


@dataclass(frozen=True, slots=True)
class PanelPlace:
    """A rectangle on the grid, in grid units; `y` counts from the top."""

    x: int
    y: int
    w: int
    h: int


def place(sections: tuple[Section, ...]) -> Iterator[tuple[Section | Panel, PanelPlace]]:
    """Yield every section header and panel with its place; they never overlap."""
    y = 0
    for section in sections:
        yield section, PanelPlace(0, y, GRID_WIDTH, _HEADER_HEIGHT)
        y += _HEADER_HEIGHT
        x = shelf = 0
        for panel in section.panels:
            if x + panel.width > GRID_WIDTH:
                x, y, shelf = 0, y + shelf, 0
            yield panel, PanelPlace(x, y, panel.width, panel.height)
            x, shelf = x + panel.width, max(shelf, panel.height)
        y += shelf
