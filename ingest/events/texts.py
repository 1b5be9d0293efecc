"""Texts of events for people, from the catalogues in `metering/locales`."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files

from metering.program.config import Model, load


class EventTexts(Model):
    """Texts for people, one file per language (`metering/locales/<language>.yaml`)."""

    language: str
    events: Mapping[str, str]


@cache
def catalogue(language: str = "en") -> EventTexts:
    """Read the catalogue of a language.

    Raises:
        ConfigError: when it cannot be read.
    """
    with as_file(files("metering") / "locales" / f"{language}.yaml") as path:
        return load(path, EventTexts)


class _OrQuestion(dict[str, str]):
    """Parameters; one that is missing, as in an event of an older version, reads "?"."""

    def __missing__(self, _key: str) -> str:
        return "?"


def event_text(kind: str, parameters: Mapping[str, str]) -> str:
    """Return the English text of an event."""
    return catalogue().events[kind].format_map(_OrQuestion(parameters))
