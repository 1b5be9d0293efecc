"""What is wrong with a value, in our own texts: those of the validation library are never shown. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from metering.names import METER_ID_PATTERN, PARK_ID_PATTERN
from metering.program.near import did_you_mean

_MAX_SHOWN = 60
_NOT_A_NUMBER = "is not a number"
_NOT_WHOLE = "is not a whole number"
_NOT_TRUE_OR_FALSE = "is not true or false"
_NOT_A_TABLE = "is not a table of keys and values"
_NOT_A_LIST = "is not a list"
_NOT_A_DAY = "is not a day such as 2026-01-31 or an instant such as 2026-01-31T12:00:00+01:00"
#: What follows the value, by the library's name of the error; braces are filled from its facts.
_TEXTS = {
    "string_type": "is not text",
    "path_type": "is not a path",
    "greater_than": "is not above {gt}",
    "greater_than_equal": "is below {ge}, the smallest that is allowed",
    "less_than": "is not below {lt}",
    "less_than_equal": "is above {le}, the largest that is allowed",
    "finite_number": "is not a finite number",
    "too_short": "has fewer than {min_length} entries",
    "too_long": "has more than {max_length} entries",
    "string_too_short": "has fewer than {min_length} characters",
    "string_too_long": "has more than {max_length} characters",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _NOT_WHOLE),
    **dict.fromkeys(("float_type", "float_parsing", "decimal_type", "decimal_parsing"), _NOT_A_NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), _NOT_TRUE_OR_FALSE),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), _NOT_A_TABLE),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), _NOT_A_LIST),
    **dict.fromkeys(
        (
            "date_type",
            "date_parsing",
            "date_from_datetime_parsing",
            "date_from_datetime_inexact",
            "datetime_type",
            "datetime_parsing",
            "datetime_from_date_parsing",
            "datetime_object_invalid",
        ),
        _NOT_A_DAY,
    ),
}
_QUOTED = re.compile("'([^']+)'")
#: What a pattern means.
_PATTERNS = {
    PARK_ID_PATTERN: "is not an id: lower-case letters, digits and hyphens, at most 32",
    METER_ID_PATTERN: "is not an id: lower-case letters, digits and hyphens, at most 63",
    r"^https?://": "does not begin with http:// or https://",
    r"^[a-z][a-z0-9_]{1,62}$": "is not a name: lower-case letters, digits and underscores, at most 63",
}


def describe(details: ErrorDetails) -> str:
    """Return what is wrong with the value, as a sentence without its place."""
    kind, facts, value = details["type"], details.get("ctx", {}), details["input"]
    if kind == "value_error":
        return str(facts["error"])
    written = shown(value)
    if kind == "string_pattern_mismatch":
        pattern = str(facts["pattern"])
        return f"{written} {_PATTERNS.get(pattern, f'does not have the form {pattern}')}"
    if kind in ("literal_error", "enum"):
        expected = str(facts["expected"])
        return f"{written} is not {expected}{did_you_mean(str(value), _QUOTED.findall(expected))}"
    if kind == "string_type" and isinstance(value, int | float):
        return f"{written} is not text; write it in quotes"
    return f"{written} {_TEXTS.get(kind, 'is not what belongs here').format(**facts)}"


def shown(value: Any) -> str:  # noqa: ANN401 - YAML is anything
    """Return a value as a message shows it: short, and described where it is a list or table."""
    if value is None:
        return "an empty value"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
