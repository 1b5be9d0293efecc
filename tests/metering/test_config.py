"""Reading YAML: the scalars of YAML 1.2, and no double keys."""

from pathlib import Path
from typing import Any

import pytest

from metering.config import Model, did_you_mean, json_schema, load
from metering.errors import ConfigError


class Anything(Model):
    """A file with one key."""

    value: Any


def read(folder: Path, text: str) -> object:
    path = folder / "x.yaml"
    path.write_text(f"value: {text}\n", encoding="utf-8")
    return load(path, Anything).value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:00", "22:00"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("null", None),
        ("010", 10),
        ("0x1F", 31),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2026-01-01", "2026-01-01"),
        ("10.0.0.5:502", "10.0.0.5:502"),
        ("250/5", "250/5"),
        ("[1, a]", [1, "a"]),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_scalars_mean_what_they_look_like(tmp_path: Path, text: str, value: object) -> None:
    assert read(tmp_path, text) == value


def test_a_key_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml:1:15: key 'a' stands twice"):
        read(tmp_path, "{a: 1, a: 2}")


def test_no_tag_of_yaml_makes_objects(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        read(tmp_path, "!!python/object/apply:os.system [echo]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ password }}", r"x\.yaml:1:9: a key is a word"),
        ("{? [a, b] : 1}", r"x\.yaml:1:11: a key is a word"),
        ("&a [*a]", "not valid YAML"),
        ("9" * 5000, r"x\.yaml:1:8: not valid YAML: Exceeds the limit"),
    ],
)
def test_what_cannot_be_built_is_said_without_a_traceback(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, text)


def test_the_nearest_words_are_offered() -> None:
    assert did_you_mean("addres", ["address", "model"]) == "; did you mean 'address'?"
    assert did_you_mean("zzz", ["address"]) == ""


def test_the_schema_refuses_unknown_keys() -> None:
    assert '"additionalProperties": false' in json_schema(Anything, title="Any")
