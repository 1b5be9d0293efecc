"""The dashboards that the product has."""

from dashboards.boards import gateway_health, zone_overview
from dashboards.model.panel import Board
from dashboards.model.site import Site


def boards(site: Site) -> tuple[Board, ...]:
    """Return every dashboard of a park."""
    return (zone_overview.board(site), gateway_health.board(site))
