"""Reads the texts of the dashboards: one file per language under `dashboards/locales/`.

A further language is a further file with the same keys.
"""

from importlib.resources import files
from pathlib import Path

from dashboards.model.texts import Texts
from metering.program.config import load


def languages() -> tuple[str, ...]:
    """Return the languages that have a file."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def load_texts(language: str) -> Texts:
    """Read the texts of a language.

    Raises:
        ConfigError: when it has no file; with every problem of the file.
    """
    return load(_folder() / f"{language}.yaml", Texts)


def _folder() -> Path:
    return Path(str(files("dashboards"))) / "locales"
