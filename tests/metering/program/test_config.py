"""Reading YAML: the scalars of YAML 1.2, and no double keys."""

import time
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import Field
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from metering.errors import ConfigError
from metering.names import METER_ID_PATTERN
from metering.program.config import Model, did_you_mean, json_schema, load
from metering.program.mistakes import describe


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


def bomb(levels: int, aliases: int) -> str:
    """Make a table in which each level holds the one before several times."""
    above = (
        f"  a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * aliases)}]" for level in range(1, levels)
    )
    return ",\n".join(["{a0: &a0 [x, x]", *above]) + "}"


def test_a_few_lines_that_stand_for_billions_end_within_a_second(tmp_path: Path) -> None:
    started_s = time.process_time()
    with pytest.raises(ConfigError, match=r"x\.yaml:5:7: not valid YAML: aliases make more than 10000 parts"):
        read(tmp_path, bomb(levels=12, aliases=10))
    assert time.process_time() - started_s < 1


def test_aliases_that_save_some_writing_are_taken(tmp_path: Path) -> None:
    read(tmp_path, bomb(levels=4, aliases=10))


def test_a_thousand_mistakes_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("value: 1\n" + "".join(f"kay{number}: 1\n" for number in range(1000)), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, Anything)
    assert len(caught.value.problems) == 201
    assert caught.value.problems[0].message == "800 more problems are not listed"


class Inner(Model):
    """One of each."""

    number: int = Field(ge=1, le=9)
    share: float = 0.5
    name: str = ""
    flag: bool = False
    word: Literal["left", "right"] = "left"
    day: datetime | date | None = None
    path: Path = Path()
    marks: tuple[int | Literal["all"], ...] = ()
    ids: dict[Annotated[str, Field(pattern=METER_ID_PATTERN)], int] = Field(default_factory=dict)
    factor: Decimal = Decimal(1)


class Outer(Model):
    """A table."""

    inner: Inner


GARBAGE = [
    "5",
    "1.5",
    "-1e300",
    "text",
    "true",
    "null",
    "[1, x]",
    "{a: 1, B: x}",
    "2026-13-45",
    '""',
    "1e999",
]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("key", Inner.model_fields)
def test_no_words_of_the_validation_library_are_shown(tmp_path: Path, key: str, garbage: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"inner:\n  {key}: {garbage}\n" + ("  number: 1\n" if key != "number" else ""))
    try:
        load(path, Outer)
    except ConfigError as error:
        text = str(error).replace(str(path), "")
        assert text.startswith(":2:")
        for word in ("Input", "should", "valid", "value_error", "Value error", "pydantic", "parse", "type"):
            assert word not in text
        assert "what belongs here" not in text


def test_every_error_of_the_library_has_a_text_of_ours() -> None:
    facts = dict.fromkeys(
        ["gt", "ge", "lt", "le", "min_length", "max_length", "pattern", "expected", "error"], "1"
    )
    for kind in get_args(ErrorType):
        details = ErrorDetails(type=kind, loc=("key",), msg="theirs", input="x", ctx=facts)
        assert describe(details)
        assert "theirs" not in describe(details)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("number: 0", "2:11: number: 0 is below 1, the smallest that is allowed"),
        ("number: 10", "2:11: number: 10 is above 9, the largest that is allowed"),
        ("number: 1.5", "2:11: number: 1.5 is not a whole number"),
        ("number:", "2:10: number: an empty value is not a whole number"),
        ("number: {a: 1}", "2:11: number: a table is not a whole number"),
        ("{number: 1, word: rihgt}", "2:21: word: 'rihgt' is not 'left' or 'right'; did you mean 'right'?"),
        (
            "{number: 1, day: tomorrow}",
            "2:20: day: 'tomorrow' is not a day such as 2026-01-31 or an instant such as 2026-01-31T12:00:00+01:00",
        ),
        (
            "{number: 1, marks: [1, some]}",
            "2:26: marks: 'some' is not a whole number, and 'some' is not 'all'",
        ),
        (
            "{number: 1, ids: {North: 1}}",
            "2:21: North: 'North' is not an id: lower-case letters, digits and hyphens, at most 63",
        ),
    ],
)
def test_mistakes_are_told_in_words_of_the_file(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"inner:\n  {line}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, Outer)
    assert str(caught.value).removeprefix(f"{path}:") == expected


def test_the_nearest_words_are_offered() -> None:
    assert did_you_mean("addres", ["address", "model"]) == "; did you mean 'address'?"
    assert did_you_mean("zzz", ["address"]) == ""


def test_the_schema_refuses_unknown_keys() -> None:
    assert '"additionalProperties": false' in json_schema(Anything, title="Any")
