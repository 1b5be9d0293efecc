"""The texts of the dashboards in one language. Pure; `dashboards.model.languages` reads them.

Tag and field names are never translated.
"""

from collections.abc import Mapping
from typing import TypeVar

from dashboards.model.panel import Scale
from metering.errors import UnknownName
from metering.program.form import Model

Entry = TypeVar("Entry")


class PanelText(Model):
    """Title, and how to read the figure."""

    title: str
    description: str


class Texts(Model):
    """The texts of one language."""

    language: str
    boards: Mapping[str, PanelText]
    sections: Mapping[str, str]
    panels: Mapping[str, PanelText]
    legends: Mapping[str, str]
    columns: Mapping[str, str]
    variables: Mapping[str, str]
    words: Mapping[str, str]
    states: Mapping[Scale, Mapping[str, str]]

    def panel(self, key: str) -> PanelText:
        """Return title and description of a panel.

        Raises:
            UnknownName: when the language lacks them.
        """
        return _entry(self.panels, key, f"{self.language}: panels")

    def board(self, key: str) -> PanelText:
        """Return title and description of a dashboard.

        Raises:
            UnknownName: when the language lacks them.
        """
        return _entry(self.boards, key, f"{self.language}: boards")

    def word(self, table: str, key: str) -> str:
        """Return a short text of `sections`, `legends`, `columns`, `variables` or `words`.

        Raises:
            UnknownName: when the language lacks it.
        """
        words: Mapping[str, str] = getattr(self, table)
        return _entry(words, key, f"{self.language}: {table}")


def _entry(table: Mapping[str, Entry], key: str, where: str) -> Entry:
    if key not in table:
        raise UnknownName(f"catalogue {where} has no {key!r}")
    return table[key]
