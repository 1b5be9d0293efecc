"""Packs readings into the messages that a gateway publishes. Pure: time is an argument.

Contract and invariants:
- Each reading added comes out in exactly one message, in the order of arrival within its block.
- A message closes `close_after_s` after its first reading, or before it would exceed `target_bytes`, or when
  it holds `max_rows`; a single reading above `target_bytes` travels alone.
- Rows with the same medium and quantities share a block.
- `seq` rises by one from 1; a message is never changed once it is returned.
- `taken_at_ms` of a meter rises strictly within the epoch as long as the clock does: where it does not (a
  tie, a clock set back by up to `MAX_CLAMP_MS`), it is set to 1 ms after the last one. If that moves it by
  more than `BELIEVABLE_SHIFT_MS`, the row is flagged CLOCK_UNSYNCHRONISED, because its time then gives the
  order and no longer the instant. A clock set back further was wrong before: times follow it, unflagged. No
  receiver of messages relies on the order.
"""

from dataclasses import dataclass, replace

import orjson

from edge.errors import MessageTooLarge
from metering.messages.data import MAX_INFLATED_BYTES, MAX_ROWS, TARGET_BYTES, Message, MessageId
from metering.quantities import Medium
from metering.readings import Reading, ReadingFlag, Row, RowBlock

#: Times that go back by more than this (a corrected clock) are taken as they are.
MAX_CLAMP_MS = 2000
#: A reading moved by more than this is flagged.
BELIEVABLE_SHIFT_MS = 1000
# Upper bounds of the JSON around the blocks and around one block's rows.
_ENVELOPE_BYTES = 160
_BLOCK_BYTES = 64

_Columns = tuple[Medium, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblerLimits:
    """When a message closes.

    Attributes:
        close_after_s: Seconds after its first reading.
        target_bytes: Bytes of JSON; only a single reading may exceed them.
        max_rows: Rows.
    """

    close_after_s: float = 0.2
    target_bytes: int = TARGET_BYTES
    max_rows: int = MAX_ROWS

    def __post_init__(self) -> None:
        if not 1 <= self.max_rows <= MAX_ROWS or not 0 < self.target_bytes <= MAX_INFLATED_BYTES:
            raise ValueError(f"limits {self} are above those of a message")


class Assembler:
    """Packs the readings of one gateway process (one epoch)."""

    def __init__(self, *, gateway: str, epoch: str, limits: AssemblerLimits | None = None) -> None:
        self._gateway = gateway
        self._epoch = epoch
        self._limits = limits or AssemblerLimits()
        self._next_seq = 1
        self._last_taken_ms: dict[str, int] = {}
        self._blocks: dict[_Columns, list[Row]] = {}
        self._rows = 0
        self._bytes = _ENVELOPE_BYTES
        self._opened_at_s = 0.0

    @property
    def open_rows(self) -> int:
        """Rows in the message that is not closed yet."""
        return self._rows

    @property
    def maybe_closes_at_s(self) -> float | None:
        """When the open message closes, on the caller's monotonic clock; `None` = nothing is open."""
        return self._opened_at_s + self._limits.close_after_s if self._rows else None

    def add(self, reading: Reading, *, now_s: float) -> tuple[Message, ...]:
        """Add a reading; return the messages that this closes.

        Raises:
            MessageTooLarge: when the reading alone is above what a message may hold; it is not added.
        """
        columns = (reading.medium, reading.quantities)
        row_bytes = _row_bytes(reading.row)
        if _ENVELOPE_BYTES + _block_bytes(columns) + row_bytes > MAX_INFLATED_BYTES:
            raise MessageTooLarge(f"one row of {reading.row.meter} has {row_bytes} bytes")
        closed = []
        if self._rows and self._bytes + self._cost(columns, row_bytes) > self._limits.target_bytes:
            closed.append(self._close())
        self._put(columns, self._in_order(reading.row), self._cost(columns, row_bytes), now_s)
        if self._rows >= self._limits.max_rows:
            closed.append(self._close())
        return tuple(closed)

    def maybe_close(self, *, now_s: float) -> Message | None:
        """Return the open message if it is due."""
        closes_at_s = self.maybe_closes_at_s
        return self._close() if closes_at_s is not None and now_s >= closes_at_s else None

    def flush(self) -> Message | None:
        """Return the open message whatever its age; `None` = nothing is open."""
        return self._close() if self._rows else None

    def _cost(self, columns: _Columns, row_bytes: int) -> int:
        return row_bytes if columns in self._blocks else row_bytes + _block_bytes(columns)

    def _put(self, columns: _Columns, row: Row, cost: int, now_s: float) -> None:
        if not self._rows:
            self._opened_at_s = now_s
        self._blocks.setdefault(columns, []).append(row)
        self._bytes += cost
        self._rows += 1

    def _in_order(self, row: Row) -> Row:
        next_ms = self._last_taken_ms.get(row.meter, 0) + 1
        shift_ms = next_ms - row.taken_at_ms
        is_clamped = 0 < shift_ms <= MAX_CLAMP_MS
        self._last_taken_ms[row.meter] = next_ms if is_clamped else row.taken_at_ms
        if not is_clamped:
            return row
        flag = ReadingFlag.CLOCK_UNSYNCHRONISED if shift_ms > BELIEVABLE_SHIFT_MS else 0
        return replace(row, taken_at_ms=next_ms, quality=row.quality | flag)

    def _close(self) -> Message:
        blocks = tuple(
            RowBlock(medium=medium, quantities=quantities, rows=tuple(rows))
            for (medium, quantities), rows in self._blocks.items()
        )
        message = Message(self._gateway, MessageId(self._epoch, self._next_seq), blocks)
        self._next_seq += 1
        self._blocks = {}
        self._rows, self._bytes = 0, _ENVELOPE_BYTES
        return message


def _row_bytes(row: Row) -> int:
    # One digit more than now: a time may still be moved by 1 ms. One byte for the comma.
    return len(orjson.dumps([row.meter, row.taken_at_ms, row.quality, *row.values])) + 3


def _block_bytes(columns: _Columns) -> int:
    medium, quantities = columns
    return _BLOCK_BYTES + len(medium) + sum(len(name) + 3 for name in quantities)
