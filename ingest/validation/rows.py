"""Validation of rows, one by one. Pure.

Contract:
- A row is either stored or refused as a whole, with a `RowReason`.
- A bad value never refuses its row: it becomes no field, sets a bit of ingest's byte of `quality` and is
  counted.
- The result depends on the row, the park's vocabulary, who may deliver the meter and the instant of receipt,
  on nothing else: so a replay of the journal has the same result.

This is ingest's hot path: what columns mean is prepared once per medium and columns (`Columns`), a good row
costs one pass over its values and one formatting.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from ingest.store.line_protocol import RowEncoder
from metering.quantities import Medium, Quantity
from metering.readings import EARLIEST_MS, ReadingFlag, Value

#: Rows stamped later than this after their receipt are absurd.
MAX_AHEAD_MS = 5 * 60 * 1000

_META: Final = 3  # meter, taken_at_ms, quality
_INGEST_BITS = (
    ReadingFlag.NOT_A_NUMBER | ReadingFlag.OUT_OF_RANGE | ReadingFlag.UNKNOWN_QUANTITY | ReadingFlag.NOT_WHOLE
)
_MAX_QUALITY = 2**31 - 1
#: The upper byte is ingest's; a gateway's bits there are ignored.
_GATEWAY_BITS = _MAX_QUALITY & ~int(_INGEST_BITS)
#: Distinct column sets are few; a gateway that makes up new ones all the time only loses the cache.
MAX_CACHED_SETS = 2000
MAX_CACHED_BYTES = 4_000_000
#: What Python needs for a prepared column besides its name, and for a set of them.
_COLUMN_BYTES = 200
_SET_BYTES = 1000
#: Longest text that is kept as the meter of a refused row; ids have 63 characters.
_MAX_METER_TEXT = 100


class RowReason(StrEnum):
    """Why a row is in the quarantine: keys of counters and acknowledgements, never reworded."""

    BAD_ROW = "bad_row"
    WRONG_COLUMN_COUNT = "wrong_column_count"
    ABSURD_TIME = "absurd_time"
    SAME_INSTANT = "same_instant"
    FOREIGN_METER = "foreign_meter"
    WRONG_MEDIUM = "wrong_medium"
    TOO_MANY_METERS = "too_many_meters"
    UNKNOWN_MEDIUM = "unknown_medium"
    REFUSED_BY_INFLUXDB = "refused_by_influxdb"


#: Returns why a gateway may not deliver a meter's row of an instant; `None` = it may.
Admission = Callable[[str, int], RowReason | None]


class StoredRow(NamedTuple):
    """A row on its way to InfluxDB.

    Attributes:
        line: Line protocol, without a newline.
        meter: Meter id.
        taken_at_ms: UTC milliseconds.
        position: In the message, counted over all blocks from 0.
    """

    line: bytes
    meter: str
    taken_at_ms: int
    position: int


class RefusedRow(NamedTuple):
    """A row on its way to the quarantine; `position` as in `StoredRow`, `meter` empty where unreadable."""

    position: int
    reason: RowReason
    meter: str = ""


@dataclass(slots=True)
class ValidatedRows:
    """What became of a message's rows: stored + refused = received.

    Attributes:
        stored: Rows to write.
        refused: Rows to set aside.
        bad_values: Values that were nulled, by their quality bit.
        lines: Line of each meter and instant: InfluxDB keeps one row of them.
    """

    stored: list[StoredRow] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    bad_values: Counter[ReadingFlag] = field(default_factory=Counter)
    lines: dict[tuple[str, int], bytes] = field(default_factory=dict)


class Columns:
    """What the columns of a block mean in a park."""

    __slots__ = ("_encoder", "_highs", "_is_counter", "_is_known", "_lows", "_width")

    def __init__(
        self, park: str, medium: Medium, names: Sequence[str], vocabulary: Mapping[str, Quantity]
    ) -> None:
        known = [_maybe_known(vocabulary, medium, name) for name in names]
        self._width = _META + len(names)
        self._is_known = tuple(quantity is not None for quantity in known)
        self._is_counter = tuple(quantity is not None and quantity.is_counter for quantity in known)
        # No number is in the range of an unknown quantity.
        self._lows = tuple(1.0 if quantity is None else quantity.low for quantity in known)
        self._highs = tuple(0.0 if quantity is None else quantity.high for quantity in known)
        # An unknown quantity never gets a field, so its name, which may be anything, is not needed.
        writable = ["_" if quantity is None else quantity.name for quantity in known]
        self._encoder = RowEncoder(medium, park, writable)

    def validate(
        self, rows: Iterable[Any], first: int, admit: Admission, now_ms: int, into: ValidatedRows
    ) -> None:
        """Validate a block's rows.

        Args:
            rows: As decoded from JSON: lists of anything, or not even lists.
            first: Position of the first of them in the message.
            admit: Returns why a gateway may not deliver a row.
            now_ms: When the message was received, UTC.
            into: Takes the outcome.
        """
        latest_ms = now_ms + MAX_AHEAD_MS
        for position, row in enumerate(rows, first):
            maybe_reason = self._maybe_refusal(row, admit, latest_ms)
            if maybe_reason is not None:
                into.refused.append(RefusedRow(position, maybe_reason, _meter(row)))
                continue
            meter, taken_at_ms, quality, *values = row
            quality &= _GATEWAY_BITS
            if not self._all_good(values):
                values, bits = self._repaired(values, into.bad_values)
                quality |= bits
            line = self._encoder.encode(meter, taken_at_ms, quality, values)
            if into.lines.setdefault((meter, taken_at_ms), line) != line:
                # Written, it would replace the other one, and count as a second row.
                into.refused.append(RefusedRow(position, RowReason.SAME_INSTANT, meter))
                continue
            into.stored.append(StoredRow(line, meter, taken_at_ms, position))

    def _maybe_refusal(self, row: Any, admit: Admission, latest_ms: int) -> RowReason | None:  # noqa: ANN401 - JSON of a stranger
        if type(row) is not list or len(row) < _META:
            return RowReason.BAD_ROW
        if len(row) != self._width:
            return RowReason.WRONG_COLUMN_COUNT
        meter, taken_at_ms, quality = row[0], row[1], row[2]
        # `type is`: a bool is an int to isinstance.
        if type(meter) is not str or type(taken_at_ms) is not int or type(quality) is not int:
            return RowReason.BAD_ROW
        if not EARLIEST_MS <= taken_at_ms <= latest_ms:
            return RowReason.ABSURD_TIME
        if not 0 <= quality <= _MAX_QUALITY:
            return RowReason.BAD_ROW
        return admit(meter, taken_at_ms)

    def _all_good(self, values: list[Any]) -> bool:
        bounds = (self._lows, self._highs, self._is_counter)
        for value, low, high, is_counter in zip(values, *bounds, strict=True):
            kind = type(value)
            # A counter as a float may be whole all the same: `_repaired` looks closer.
            if (kind is int or (kind is float and not is_counter)) and low <= value <= high:
                continue
            if value is not None:
                return False
        return True

    def _repaired(self, values: list[Any], bad: Counter[ReadingFlag]) -> tuple[list[Value], int]:
        """Return the values with the bad ones as `None`, and their quality bits."""
        bits = 0
        repaired: list[Value] = []
        columns = zip(values, self._is_known, self._is_counter, self._lows, self._highs, strict=True)
        for value, is_known, is_counter, low, high in columns:
            maybe_flag = _maybe_flag(value, is_known=is_known, low=low, high=high)
            if maybe_flag is None and is_counter and type(value) is float and not value.is_integer():
                maybe_flag = ReadingFlag.NOT_WHOLE
            if maybe_flag is not None:
                bits |= maybe_flag
                bad[maybe_flag] += 1
            repaired.append(value if maybe_flag is None else None)
        return repaired, bits


def _meter(row: Any) -> str:  # noqa: ANN401 - JSON of a stranger
    return row[0][:_MAX_METER_TEXT] if type(row) is list and row and type(row[0]) is str else ""


def _maybe_known(vocabulary: Mapping[str, Quantity], medium: Medium, name: str) -> Quantity | None:
    maybe_quantity = vocabulary.get(name)
    # A voltage of water is as unknown as a name that is not declared.
    return maybe_quantity if maybe_quantity is not None and medium in maybe_quantity.media else None


def _maybe_flag(value: Any, *, is_known: bool, low: float, high: float) -> ReadingFlag | None:  # noqa: ANN401 - JSON of a stranger
    if value is None:
        return None
    if not is_known:
        return ReadingFlag.UNKNOWN_QUANTITY
    if type(value) not in (float, int) or value != value:  # noqa: PLR0124 - only NaN differs from itself
        return ReadingFlag.NOT_A_NUMBER
    return None if low <= value <= high else ReadingFlag.OUT_OF_RANGE


class Vocabulary:
    """A park's quantities, and its prepared columns in a cache of bounded size."""

    def __init__(self, park: str, quantities: Mapping[str, Quantity]) -> None:
        self._park = park
        self._quantities = quantities
        self._columns: dict[tuple[str, tuple[str, ...]], Columns | None] = {}
        self._cached_bytes = 0

    @property
    def cached_bytes(self) -> int:
        """Size of the cache, about."""
        return self._cached_bytes

    def maybe_columns(self, medium: str, names: tuple[str, ...]) -> Columns | None:
        """Return what the columns mean; `None` for a medium that does not exist."""
        key = (medium, names)
        if key not in self._columns:
            self._remember(key, self._prepare(medium, names))
        return self._columns[key]

    def _remember(self, key: tuple[str, tuple[str, ...]], maybe_columns: Columns | None) -> None:
        medium, names = key
        # A character needs four bytes at most.
        size_bytes = _SET_BYTES + 4 * len(medium) + sum(_COLUMN_BYTES + 4 * len(name) for name in names)
        if len(self._columns) >= MAX_CACHED_SETS or self._cached_bytes + size_bytes > MAX_CACHED_BYTES:
            self._columns.clear()
            self._cached_bytes = 0
        self._columns[key] = maybe_columns
        self._cached_bytes += size_bytes

    def _prepare(self, medium: str, names: tuple[str, ...]) -> Columns | None:
        try:
            return Columns(self._park, Medium(medium), names, self._quantities)
        except ValueError:  # no such medium
            return None
