"""InfluxDB line protocol, times in milliseconds. Pure.

Invariants:
- A Python `float` becomes a float field, an `int` an integer field (`5i`), a `str` a string field. A field's
  type is fixed by its first point, so quantities are always floats, and only flags and states integers.
- NaN and infinities are refused, never written as something else; `None` is left out.
- Tags stand in the order given: sort them once, InfluxDB is fastest with sorted ones.
- No line holds a newline outside a string field, so a batch can be split at lines of ours.

Source: InfluxDB 1.8 and 2.7 documentation, "Line protocol reference"; tried on 1.6.7 by `test_line`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import orjson

from metering.readings import Value
from metering.series import QUALITY

Field = float | int | str

_IN_NAME = str.maketrans({",": r"\,", " ": r"\ "})
_IN_KEY = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\="})
_IN_TEXT = str.maketrans({'"': r"\"", "\\": r"\\"})

_REMEMBERED = 8192

#: Integer fields have 64 bits.
_INTEGER_LIMIT = 2**63


def encode_point(
    measurement: str, tags: Iterable[tuple[str, str]], fields: Mapping[str, Field | None], time_ms: int
) -> bytes:
    """Return the line of one point, without a newline.

    Raises:
        ValueError: for a point without fields, an empty name, NaN, or what cannot be written at all.
        TypeError: for a boolean: flags are 0 or 1, which panels can add up.
    """
    head = _as_name(measurement) + "".join(f",{_as_key(key)}={_as_key(value)}" for key, value in tags)
    written = ",".join(
        f"{_as_key(key)}={_field(key, value)}" for key, value in fields.items() if value is not None
    )
    if not written:
        raise ValueError(f"point of {measurement!r} has no field")
    return f"{head} {written} {time_ms}".encode()


# Names, ids and field keys are few and come again and again; remembering them halves the cost of a point.
@lru_cache(maxsize=_REMEMBERED)
def _as_name(name: str) -> str:
    return _escaped(name, _IN_NAME)


@lru_cache(maxsize=_REMEMBERED)
def _as_key(name: str) -> str:
    return _escaped(name, _IN_KEY)


def _escaped(name: str, table: Mapping[int, str]) -> str:
    # A backslash before a separator would swallow it, and nothing can escape a newline.
    if not name or name.endswith("\\") or "\n" in name:
        raise ValueError(f"{name!r} cannot be a name or tag value in line protocol")
    return name.translate(table)


def _field(key: str, value: Field) -> str:
    if isinstance(value, bool):
        raise TypeError(f"field {key!r} is a boolean: write 0 or 1")
    if isinstance(value, str):
        return f'"{value.translate(_IN_TEXT)}"'
    if isinstance(value, float):
        return _finite(key, value)
    if not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        raise ValueError(f"field {key!r}: {value} needs more than 64 bits")
    return f"{value}i"


def _finite(key: str, value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"field {key!r} is {value}")
    return repr(value)


class RowEncoder:
    """Lines of raw rows that share a medium, a park and columns: the fast path of ingest.

    Names are escaped once; per row only the numbers are formatted, by orjson, whose floats are as exact as
    `repr` and twice as fast.
    """

    __slots__ = ("_head", "_keys", "_line", "quantities")

    def __init__(self, medium: str, park: str, quantities: Sequence[str]) -> None:
        self.quantities = tuple(quantities)
        self._keys = tuple(_as_key(name).encode() for name in quantities)
        measurement, park_value = _as_name(medium), _as_key(park)
        self._head = _template(f"{measurement},meter=", b"%b", f",park={park_value} {QUALITY}=", b"%di")
        columns = (part for key in self._keys for part in (f",{key.decode()}=", b"%b"))
        self._line = self._head + _template(*columns) + b" %d"

    def encode(self, meter: str, taken_at_ms: int, quality: int, values: Sequence[Value]) -> bytes:
        """Return the line of one row, without a newline.

        Args:
            meter: Meter id; ids need no escaping (`metering.names`).
            taken_at_ms: UTC milliseconds since 1970.
            quality: `ReadingFlag` bits.
            values: One per quantity; `None` = no field.

        Raises:
            ValueError: for NaN or an infinity.
        """
        numbers = [None if value is None else float(value) for value in values]
        # orjson writes NaN and infinities as null, too: the slow path tells them from None.
        written = orjson.dumps(numbers)[1:-1]
        if b"null" in written or not written:
            return self._encode_sparse(meter.encode(), taken_at_ms, quality, numbers)
        return self._line % (meter.encode(), quality, *written.split(b","), taken_at_ms)

    def _encode_sparse(
        self, meter: bytes, taken_at_ms: int, quality: int, numbers: Sequence[float | None]
    ) -> bytes:
        columns = b"".join(
            b",%b=%b" % (key, _finite(key.decode(), number).encode())
            for key, number in zip(self._keys, numbers, strict=True)
            if number is not None
        )
        return b"%b%b %d" % (self._head % (meter, quality), columns, taken_at_ms)


def _template(*parts: str | bytes) -> bytes:
    """Join texts, which are taken as they are, and placeholders (bytes) to a `%` template."""
    return b"".join(part if isinstance(part, bytes) else part.replace("%", "%%").encode() for part in parts)
