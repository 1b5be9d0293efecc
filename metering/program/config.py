"""Configuration files: YAML in, frozen pydantic models out, every problem at once with its place.

Contract:
- `load` touches no network; of the file system it reads the one file and asks what paths mean.
- A model is a `Model` (`metering.program.form`). It may define `problems()`, which yields mistakes that only
  the whole shows (an unknown name, a double id) as `(location, message)`, and `problems_on(folder)`.
- All problems of a file come in one `ConfigError`, those of single values and those across keys together,
  each with file, line and column, and with the nearest known word where a word is unknown.
- YAML is read by the 1.2 rules (`metering.program.yaml_file`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from metering.errors import ConfigError, Problem
from metering.program.form import AnyModel, Model, NotKnown, known_part, while_known
from metering.program.mistakes import describe
from metering.program.near import did_you_mean
from metering.program.yaml_file import Document, Location

__all__ = ["AnyModel", "Location", "Model", "NotKnown", "did_you_mean", "json_schema", "load", "while_known"]

#: Pydantic's mark for a key, not its value.
_KEY = "[key]"


def load(path: Path, model: type[AnyModel]) -> AnyModel:
    """Read a configuration file.

    Raises:
        ConfigError: with every problem found, also when the file cannot be read.
    """
    document = Document(str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {error}")]) from error
    document.parse(text)
    document.check()
    maybe_whole = _maybe_valid(document, model)
    told = known_part(model, document.data) if maybe_whole is None else maybe_whole
    for rule in (told.problems(), told.problems_on(path.absolute().parent)):
        for location, message in while_known(rule):
            document.add(location, message)
    document.check()
    if maybe_whole is None:  # unreachable: a failed validation has left problems
        raise ConfigError([Problem(document.file, 0, 0, "cannot be used")])
    return maybe_whole


def _maybe_valid(document: Document, model: type[AnyModel]) -> AnyModel | None:
    """Return the model, or record what is wrong with single keys and values."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        _note(document, model, error.errors(include_url=False))
        return None


def _note(document: Document, model: type[Model], errors: Sequence[ErrorDetails]) -> None:
    values: dict[Location, list[ErrorDetails]] = {}
    for details in errors:
        location = details["loc"]
        if details["type"] == "extra_forbidden":
            hint = did_you_mean(str(location[-1]), _keys_at(model, location[:-1]))
            document.add(location, f"unknown key {location[-1]!r}{hint}", at_key=True)
        elif details["type"] == "missing":
            document.add(location[:-1], f"key {str(location[-1])!r} is missing")
        else:
            # A value that may have several forms is wrong in each of them, and is one mistake.
            values.setdefault(document.within(location), []).append(details)
    for location, several in values.items():
        is_key = several[0]["loc"][-1:] == (_KEY,)
        document.add(location, _sentence(location, several), at_key=is_key)


def _sentence(location: Location, several: Sequence[ErrorDetails]) -> str:
    texts = list(dict.fromkeys(map(describe, several)))
    names = [part for part in location if isinstance(part, str)]
    name, text = names[-1] if names else "the file", ", and ".join(texts)
    return f"{name}: {text}"


def _keys_at(model: type[Model], location: Location) -> list[str]:
    """Return the keys that the models at a location have."""
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


def json_schema(model: type[Model], *, title: str) -> str:
    """Return the model's JSON Schema (draft 2020-12) as text, the same for the same model."""
    schema: Mapping[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
        "title": title,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
