"""What is wrong with a value of a configuration file, in plain words. Pure.

pydantic tells what it expected as a type of error; the words for a user are ours.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from metering.names import GATEWAY_ID_PATTERN, METER_ID_PATTERN

#: A name, an IPv4 address or an IPv6 address: no scheme, path or space.
HOST_PATTERN = r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)$"

_MAX_SHOWN = 40
_NUMBER = "a number"
_WHOLE = "a whole number"
_TEXT = "text"
_TABLE = "a table of keys and values"
_LIST = "a list"
_DAY = "a day such as 2026-01-31"
_INSTANT = "an instant such as 2026-01-31T08:00:00+01:00"

_EXPECTED: Mapping[str, str] = {
    "string_type": _TEXT,
    "string_too_short": "text that is not empty",
    "path_type": "a path",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "a smaller whole number",
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number",
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": _TABLE,
    "mapping_type": _TABLE,
    "model_type": _TABLE,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "too_short": "a list that is not empty",
    "date_type": _DAY,
    "date_parsing": _DAY,
    "date_from_datetime_parsing": _DAY,
    "date_from_datetime_inexact": _DAY,
    "datetime_type": _INSTANT,
    "datetime_parsing": _INSTANT,
    "datetime_from_date_parsing": _INSTANT,
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_PATTERNS: Mapping[str, str] = {
    GATEWAY_ID_PATTERN: "lower-case letters, digits and hyphens, at most 32",
    METER_ID_PATTERN: "lower-case letters, digits and hyphens, at most 63",
    HOST_PATTERN: "the name or address of a host, without http:// and port",
    r"^https?://": "an address that begins with http:// or https://",
}
_CHOICE = re.compile(r"'([^']*)'")


def describe(key: str, found: Sequence[ErrorDetails]) -> str:
    """Return what is wrong with one value.

    Args:
        key: The nearest key, empty where there is none.
        found: What pydantic says of it: several entries where several kinds of value are allowed.
    """
    own = [str(one["ctx"]["error"]) for one in found if one["type"] == "value_error"]
    text = own[0] if own else _must_be(found)
    return f"{key}: {text}" if key else text


def choices(found: Iterable[ErrorDetails]) -> list[str]:
    """Return the words that may stand there, where only some may."""
    return [word for one in found for word in _CHOICE.findall(str(one.get("ctx", {}).get("expected", "")))]


def _must_be(found: Sequence[ErrorDetails]) -> str:
    expected = " or ".join(dict.fromkeys(_expected(one) for one in found))
    given: Any = found[0]["input"]
    wants_text = any(one["type"] == "string_type" for one in found) and isinstance(given, int | float)
    return f"must be {expected}, not {_shown(given)}{'; write it in quotes' if wants_text else ''}"


def _expected(one: ErrorDetails) -> str:
    kind, context = one["type"], one.get("ctx", {})
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"{words} {context[bound]}"
    if kind in {"literal_error", "enum"}:
        return str(context["expected"])
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"of the form {context['pattern']}")
    return _EXPECTED.get(kind, "another kind of value")


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return _TABLE
    if isinstance(value, list | tuple):
        return _LIST
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
