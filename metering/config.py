"""Configuration files: YAML in, frozen pydantic models out, every problem at once with its place.

Contract:
- `load` touches no network and nothing but the one file.
- A model is a `Model` (frozen, unknown keys refused). It may define `problems()`, which yields what only the
  whole can tell (an unknown name, a double id) as `(location, message)`.
- All problems of a file come in one `ConfigError`, each with file, line and column, and with the nearest
  known word where a word is unknown.
- YAML is read by the 1.2 rules: only `true` and `false` are booleans, `22:00` is text, dates are text until a
  model says otherwise, and a key that stands twice is an error.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from metering.errors import ConfigError, Problem

#: Where in a document: keys and list positions from the top.
Location = tuple[str | int, ...]


class Model(BaseModel):
    """Root of all configuration models: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield what is wrong across keys; overridden by models that have such rules."""
        yield from ()


AnyModel = TypeVar("AnyModel", bound=Model)


class _Yaml12(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own form


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"true|false", "tf"),
    ("tag:yaml.org,2002:null", r"~|null|", ["~", "n", ""]),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Yaml12.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_first))


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """Decimal even with a leading zero (PyYAML would read 010 as octal), or 0x hex."""
    text = str(loader.construct_scalar(node))
    try:
        return int(text, 16) if text.startswith("0x") else int(text)
    except ValueError as error:  # thousands of digits
        raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


def _construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)))


_Yaml12.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Yaml12.add_constructor("tag:yaml.org,2002:float", _construct_float)


_PLAIN_TAGS = ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")


class _Document:
    """A parsed YAML file: plain data, and where each part of it stands."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.data: Any = None
        self.problems: list[Problem] = []
        self._values: dict[Location, yaml.Mark] = {}
        self._keys: dict[Location, yaml.Mark] = {}

    def parse(self, text: str) -> None:
        loader = _Yaml12(text)
        try:
            node = loader.get_single_node()
            self.data = {} if node is None else self._build(loader, node, ())
        except yaml.MarkedYAMLError as error:
            self._add_mark(error.problem_mark, f"not valid YAML: {error.problem}")
        except (yaml.YAMLError, RecursionError) as error:
            self._add_mark(None, f"not valid YAML: {error}")
        finally:
            loader.dispose()

    def _build(self, loader: yaml.SafeLoader, node: yaml.Node, here: Location) -> Any:  # noqa: ANN401 - YAML is anything
        self._values[here] = node.start_mark
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _PLAIN_TAGS:
            self._add_mark(node.start_mark, f"not valid YAML: the tag {node.tag} is not known")
        if isinstance(node, yaml.SequenceNode):
            return [self._build(loader, item, (*here, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(loader, node, here)
        return loader.construct_object(node)

    def _build_mapping(
        self, loader: yaml.SafeLoader, node: yaml.MappingNode, here: Location
    ) -> dict[Any, Any]:
        built: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                # An unfilled {{ template }} reads like that.
                self._add_mark(key_node.start_mark, "a key is a word, not a list or a mapping")
                continue
            key = loader.construct_object(key_node)
            there = (*here, key)
            if key in built:
                self._add_mark(key_node.start_mark, f"key {key!r} stands twice")
            self._keys[there] = key_node.start_mark
            built[key] = self._build(loader, value_node, there)
        return built

    def add(self, location: Location, message: str, *, at_key: bool = False) -> None:
        """Record a problem at the deepest part of the location that the file has."""
        if at_key and location in self._keys:
            self._add_mark(self._keys[location], message)
            return
        while location and location not in self._values:
            location = location[:-1]
        self._add_mark(self._values.get(location), message)

    def _add_mark(self, mark: yaml.Mark | None, message: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        self.problems.append(Problem(self.file, line, column, message))

    def check(self) -> None:
        if self.problems:
            raise ConfigError(self.problems)


def load(path: Path, model: type[AnyModel]) -> AnyModel:
    """Read a configuration file.

    Raises:
        ConfigError: with every problem found, also when the file cannot be read.
    """
    document = _Document(str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {error}")]) from error
    document.parse(text)
    document.check()
    return _validate(document, model)


def _validate(document: _Document, model: type[AnyModel]) -> AnyModel:
    maybe_loaded = _validate_or_note(document, model, document.data)
    if maybe_loaded is None:
        # Rules across keys can still be checked when nothing worse than unknown keys was found.
        pruned = _without_unknown_keys(document.data, model)
        maybe_loaded = None if pruned is None else model.model_validate(pruned)
    if maybe_loaded is not None:
        for location, message in maybe_loaded.problems():
            document.add(location, message)
    document.check()
    if maybe_loaded is None:  # unreachable: a failed validation has left problems
        raise ConfigError([Problem(document.file, 0, 0, "cannot be used")])
    return maybe_loaded


def _validate_or_note(document: _Document, model: type[AnyModel], data: object) -> AnyModel | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _note(document, model, details)
        return None


def _note(document: _Document, model: type[Model], details: ErrorDetails) -> None:
    location = details["loc"]
    if details["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        document.add(
            location, f"unknown key {location[-1]!r}{did_you_mean(str(location[-1]), known)}", at_key=True
        )
    elif details["type"] == "missing":
        document.add(location[:-1], f"key {str(location[-1])!r} is missing")
    else:
        document.add(location, _describe(location, details))


def _describe(location: Location, details: ErrorDetails) -> str:
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "string_type" and isinstance(details["input"], int | float):
        message += ", write it in quotes"
    words = [part for part in location if isinstance(part, str)]
    return f"{words[-1]}: {message}" if words else message


def _without_unknown_keys(data: object, model: type[Model]) -> object | None:
    """Give the data without unknown keys; `None` when other errors remain."""
    try:
        model.model_validate(data)
    except ValidationError as error:
        pruned: object = json.loads(json.dumps(data, default=str))
        for details in error.errors(include_url=False):
            if details["type"] != "extra_forbidden" or not _remove(pruned, details["loc"]):
                return None
        return pruned
    return data


def _remove(data: Any, location: Location) -> bool:  # noqa: ANN401 - YAML is anything
    for part in location[:-1]:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(data, dict) and data.pop(location[-1], data) is not data


def _keys_at(model: type[Model], location: Location) -> list[str]:
    """Give the keys that the models at a location know."""
    annotations: list[Any] = [model]
    for part in location:
        annotations = [deeper for one in annotations for deeper in _descend(one, part)]
    models = (one for annotation in annotations for one in _models_in(annotation))
    return [field.alias or name for found in models for name, field in found.model_fields.items()]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType):
        for option in get_args(annotation):
            yield from _models_in(option)


def _descend(annotation: object, part: str | int) -> Iterator[Any]:
    for model in _models_in(annotation):
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                yield field.annotation
    if get_origin(annotation) in (Union, UnionType):
        for option in get_args(annotation):
            yield from () if list(_models_in(option)) else _descend(option, part)
    elif get_origin(annotation) is not None and get_args(annotation):
        inner = [one for one in get_args(annotation) if one is not Ellipsis]
        yield inner[-1]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give `; did you mean 'x'?` for the nearest known words, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else ""


def json_schema(model: type[Model], *, title: str) -> str:
    """Give the model's JSON Schema (draft 2020-12) as text, the same for the same model."""
    schema: Mapping[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
        "title": title,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
