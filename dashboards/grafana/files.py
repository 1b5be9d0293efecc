"""The JSON files of all dashboards of a park."""

from dashboards.boards.table import boards
from dashboards.grafana.dashboard_json import to_json
from dashboards.model.site import Site
from dashboards.model.texts import Texts


def dashboard_files(site: Site, texts: Texts) -> dict[str, str]:
    """Return the dashboards' JSON by file name.

    Raises:
        UnknownName: when the language lacks a text.
    """
    return {f"{board.key}.json": to_json(board, site, texts) for board in boards(site)}
