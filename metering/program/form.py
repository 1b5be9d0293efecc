"""The form of a configuration file: models, and what is known of one with mistakes.

Contract:
- What a model's `problems` yields holds for the values that it reads. A value that is wrong or missing in the
  file is not known: reading it raises `NotKnown`, and the rule that needed it reports nothing.
- `known_part` makes such a model from any data; only its `problems` are read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from metering.errors import MeteringError
from metering.program.yaml_file import Location

T = TypeVar("T")


class NotKnown(MeteringError):
    """A value of the file is wrong, so what depends on it is unknown."""


class Model(BaseModel):
    """Root of all configuration models: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield what is wrong across keys; overridden by models that have such rules."""
        yield from ()

    def problems_on(self, folder: Path) -> Iterator[tuple[Location, str]]:
        """Yield mistakes that only show on this machine, such as two paths of one device.

        Args:
            folder: Where the file lies; relative paths count from it.
        """
        del folder
        yield from ()

    def knows(self, *names: str) -> bool:
        """Tell whether these values are right in the file; without names: all."""
        return all(name in self.__dict__ for name in names or type(self).model_fields)

    if not TYPE_CHECKING:  # it would take any name for an attribute

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - never returns
            """Raise `NotKnown` for a field that is not known; other names do not exist."""
            if name in type(self).model_fields:
                raise NotKnown(name)
            return super().__getattr__(name)


AnyModel = TypeVar("AnyModel", bound=Model)


def while_known(rule: Iterator[T]) -> Iterator[T]:
    """Yield what a rule finds, until it needs a value that is not known."""
    try:
        yield from rule
    except NotKnown:
        return


def known_part(model: type[AnyModel], data: object) -> AnyModel:
    """Return the model with those values that are right; all others are not known."""
    written = data if isinstance(data, Mapping) else None
    known: dict[str, Any] = {}
    unknown = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        try:
            if written is None or (field.is_required() and key not in written):
                unknown.append(name)
            elif key in written:
                known[name] = _value(field.annotation, field.metadata, written[key])
        except NotKnown:
            unknown.append(name)
    part = cast("AnyModel", model.model_construct(**known))
    for name in unknown:
        # Its default may be another value than the one that was meant.
        part.__dict__.pop(name, None)
    return part


def _value(annotation: Any, metadata: list[Any], data: Any) -> Any:  # noqa: ANN401 - types and YAML are anything
    try:
        whole: Any = Annotated[(annotation, *metadata)] if metadata else annotation
        return TypeAdapter(whole).validate_python(data)
    except ValidationError:
        pass
    for one in metadata:
        data = _expanded(one, data)
    return _inside(annotation, data)


def _expanded(validator: Any, data: Any) -> Any:  # noqa: ANN401 - as above
    if not isinstance(validator, BeforeValidator):
        return data
    function: Any = validator.func
    try:
        return function(data)
    except ValueError as error:
        raise NotKnown from error


def _inside(annotation: Any, data: Any) -> Any:  # noqa: ANN401 - as above
    """Return what is known of a value that is wrong as a whole.

    Raises:
        NotKnown: when nothing is known.
    """
    arguments = get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return known_part(annotation, data)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _value(arguments[0], list(arguments[1:]), data)
    if origin in (Union, UnionType):
        (first, *others) = [one for one in arguments if one is not type(None)]
        if not others:
            return _inside(first, data)
    elif isinstance(origin, type) and isinstance(data, list) and issubclass(origin, tuple):
        return tuple(_value(arguments[0], [], one) for one in data)
    elif isinstance(origin, type) and isinstance(data, Mapping) and issubclass(origin, Mapping):
        return {key: _value(arguments[-1], [], one) for key, one in data.items()}
    raise NotKnown
