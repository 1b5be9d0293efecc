"""The dashboards that the product has."""

from dashboards.boards import gateway_health, zone_overview
from dashboards.grafana.dashboard_json import to_json
from dashboards.model.panel import Board
from dashboards.model.site import Site
from dashboards.model.texts import Texts


def boards(site: Site) -> tuple[Board, ...]:
    """Give every dashboard of a park."""
    return (zone_overview.board(site), gateway_health.board(site))


def dashboard_files(site: Site, texts: Texts) -> dict[str, str]:
    """Give the dashboards' JSON by file name.

    Raises:
        UnknownName: when the catalogue lacks a text.
    """
    return {f"{board.key}.json": to_json(board, site, texts) for board in boards(site)}
