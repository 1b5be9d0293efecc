"""A reading as it leaves the meter: the row, the unit of account from the register to the database.

Invariants:
- One `Row` = one meter, one poll. It is counted once, everywhere.
- `taken_at_ms` is UTC milliseconds, taken when the answer that carries the counters arrived.
- A value that could not be read, or is not plausible, is `None` and sets a bit in `quality`; the other
  values of the row stay good.
"""

from dataclasses import dataclass
from enum import IntFlag

from metering.names import check_meter_id
from metering.quantities import Medium

#: A value on the wire: counters are integers of their unit, gauges floats, `None` = not read.
Value = float | int | None

#: Rows older than this are refused (2020-01-01 UTC): no gateway of ours existed.
EARLIEST_MS = 1_577_836_800_000


class ReadingFlag(IntFlag):
    """Bits of a row's `quality`; 0 = everything read and plausible.

    The lower byte is set by the gateway, the upper one by ingest.
    """

    INVALID = 1  # the meter gave its marker for "no value", or NaN
    IMPLAUSIBLE = 2  # outside the quantity's range
    PARTIAL = 4  # some registers were not answered
    CLOCK_UNSYNCHRONISED = 8  # the gateway's clock was not known to be right
    COUNTER_MISSING = 16  # the meter refused a counter, or did not answer it; it is asked for again
    NOT_A_NUMBER = 256  # ingest: text, true/false or NaN where a number belongs
    OUT_OF_RANGE = 512  # ingest: outside the quantity's range
    UNKNOWN_QUANTITY = 1024  # ingest: a quantity that neither product nor park declares
    NOT_WHOLE = 2048  # ingest: a counter that is no whole number of its unit


@dataclass(frozen=True, slots=True)
class Row:
    """One poll of one meter.

    Attributes:
        meter: Meter id, unique in the park.
        taken_at_ms: When the answer arrived, UTC milliseconds since 1970.
        quality: `ReadingFlag` bits.
        values: One per quantity of the block, in its order and in its unit.

    Raises:
        ValueError: for an id, a time or a quality outside its range.
    """

    meter: str
    taken_at_ms: int
    quality: int
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        check_meter_id(self.meter)
        if self.taken_at_ms < EARLIEST_MS:
            raise ValueError(f"row of {self.meter}: time {self.taken_at_ms} ms is before 2020")
        if self.quality < 0:
            raise ValueError(f"row of {self.meter}: quality {self.quality} is negative")


@dataclass(frozen=True, slots=True)
class Reading:
    """A row with the names of its columns: what a poll passes to the assembler.

    Raises:
        ValueError: when the row's values do not match the quantities one to one.
    """

    medium: Medium
    quantities: tuple[str, ...]
    row: Row

    def __post_init__(self) -> None:
        _check_width(self.quantities, self.row)


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Rows of one medium with the same columns.

    Raises:
        ValueError: when empty, or when a row's values do not match the quantities one to one.
    """

    medium: Medium
    quantities: tuple[str, ...]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        if not self.rows or not self.quantities:
            raise ValueError("a block has at least one quantity and one row")
        for row in self.rows:
            _check_width(self.quantities, row)


def _check_width(quantities: tuple[str, ...], row: Row) -> None:
    if len(row.values) != len(quantities):
        raise ValueError(f"row of {row.meter} has {len(row.values)} values for {len(quantities)} quantities")
