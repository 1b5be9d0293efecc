"""JSON bodies of messages, from any client: parsed within bounds, read by exact types. Pure.

Contract:
- Whatever the bytes, `parse_json` returns an object or raises `MalformedMessage`, nothing else.
- What it returns is nested at most `MAX_DEPTH` levels deep, so that no later `repr`, `str` or walk over it
  meets the limit of Python's recursion.
- A whole number is a JSON integer: neither 1.0 nor true nor "1".
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from metering.errors import MalformedMessage

#: Levels of lists and objects in a body; our own messages have five.
MAX_DEPTH = 16
#: Characters of a received value that an error quotes.
_MAX_QUOTED = 80

_CONTAINERS = frozenset((list, dict))


def parse_json(body: bytes) -> Mapping[str, Any]:
    """Read a JSON object; NaN and Infinity, which JSON does not have, become floats, validated later.

    Raises:
        MalformedMessage: `invalid_utf8`, `not_json`, or `bad_envelope` when it is no object or nested too
            deeply.
    """
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = _parse_leniently(body)
    if not isinstance(parsed, dict):
        raise MalformedMessage("bad_envelope", "not a JSON object")
    _check_depth(parsed)
    return parsed


def _parse_leniently(body: bytes) -> Any:  # noqa: ANN401 - JSON of a stranger is anything
    """Second try for bodies with NaN literals, which the fast parser refuses as a whole."""
    try:
        parsed = json.loads(body.decode("utf-8"), parse_constant=lambda _name: math.nan)
        # Half a surrogate pair, as an escape, cannot be encoded as UTF-8.
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise MalformedMessage("invalid_utf8", str(error)) from error
    except (json.JSONDecodeError, RecursionError, ValueError) as error:
        raise MalformedMessage("not_json", str(error)) from error
    return parsed


def _check_depth(parsed: object) -> None:
    level: list[Any] = [parsed]
    for _ in range(MAX_DEPTH):
        level = list(_inside(level))
        if not level:
            return
    raise MalformedMessage("bad_envelope", f"nested more than {MAX_DEPTH} levels deep")


def _inside(containers: Iterable[Any]) -> Iterator[Any]:
    """Yield the lists and objects that are direct elements of the given ones."""
    for one in containers:
        values = one.values() if type(one) is dict else one
        # In C, because most lists are rows of plain values: this is ingest's hot path.
        if not _CONTAINERS.isdisjoint(map(type, values)):
            yield from (value for value in values if type(value) in _CONTAINERS)


def check_schema(parsed: Mapping[str, Any], schema: int, what: str) -> None:
    """Check the `schema` of a body.

    Raises:
        MalformedMessage: `wrong_schema`.
    """
    found = parsed.get("schema")
    if type(found) is not int or found != schema:
        raise MalformedMessage("wrong_schema", f"{what} of schema {quoted(found)}, not {schema}")


def whole(value: object) -> int:
    """Return a value that is a whole number of JSON.

    Raises:
        TypeError: when it is not.
    """
    if type(value) is not int:
        raise TypeError(f"{quoted(value)} is not a whole number")
    return value


def number(value: object) -> float:
    """Return a value that is a number of JSON, whole or not.

    Raises:
        TypeError: when it is not.
        OverflowError: when it is beyond what a float can be.
    """
    if type(value) is not int and type(value) is not float:
        raise TypeError(f"{quoted(value)} is not a number")
    return float(value)


def flag(value: object) -> bool:
    """Return a value that is true or false.

    Raises:
        TypeError: when it is neither.
    """
    if type(value) is not bool:
        raise TypeError(f"{quoted(value)} is neither true nor false")
    return value


def text(value: object) -> str:
    """Return a value that is text.

    Raises:
        TypeError: when it is not.
    """
    if type(value) is not str:
        raise TypeError(f"{quoted(value)} is not text")
    return value


def quoted(value: object) -> str:
    """Return a received value for an error message, cut to a bounded length."""
    written = repr(value)
    return written if len(written) <= _MAX_QUOTED else f"{written[:_MAX_QUOTED]}…"
