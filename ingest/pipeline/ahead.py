"""Entries of the quarantine that were ahead of the clock, by when they are due. Pure.

A row of a gateway whose clock is ahead, or that came while ingest's own clock was behind, is set aside as
*absurd time*. It is validated again as soon as it is no longer ahead: time has passed, or the clock
was set forward. Memory is bounded: what does not fit stays in the quarantine, and is recalled from there when
the others are done (`ingest.pipeline.revalidation`).
"""

import heapq
from collections.abc import Iterator

from ingest.journal.quarantine_entry import QuarantineEntry
from ingest.journal.segments import JournalPlace, Record
from ingest.validation.rows import MAX_AHEAD_MS, RowReason
from metering.errors import MalformedMessage
from metering.messages import birth
from metering.messages import data as message
from metering.readings import EARLIEST_MS

MAX_ENTRIES = 10_000


class Ahead:
    """Entries of a park's quarantine, by when they are to be validated again.

    Attributes:
        rows: Of the entries that are kept.
        left_out: Entries for which there was no room since the last recall.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._waiting: list[tuple[int, int, QuarantineEntry]] = []
        self._known: set[tuple[JournalPlace, str]] = set()
        self._count = 0
        self.rows = 0
        self.left_out = 0

    def note(self, entry: QuarantineEntry, due_ms: int) -> None:
        """Keep an entry until a time, UTC; when there is no room, drop the one that is due last."""
        if _key(entry) in self._known:
            return
        self._known.add(_key(entry))
        self._count += 1
        # The number makes equal times comparable.
        heapq.heappush(self._waiting, (due_ms, self._count, entry))
        self.rows += entry.row_count
        if len(self._waiting) > self._max_entries:
            last = max(self._waiting)
            self._waiting.remove(last)
            heapq.heapify(self._waiting)
            self._forget(last[2])
            self.left_out += 1

    @property
    def must_recall(self) -> bool:
        """Whether entries were left out, and there is room for them now."""
        return bool(self.left_out) and not self._waiting

    def maybe_take(self, now_ms: int) -> QuarantineEntry | None:
        """Return an entry whose time has come, and forget it."""
        if not self._waiting or self._waiting[0][0] > now_ms:
            return None
        _, _, entry = heapq.heappop(self._waiting)
        self._forget(entry)
        return entry

    def _forget(self, entry: QuarantineEntry) -> None:
        self.rows -= entry.row_count
        self._known.discard(_key(entry))


def _key(entry: QuarantineEntry) -> tuple[JournalPlace, str]:
    return entry.place, entry.reason


def maybe_due_ms(entry: QuarantineEntry, record: Record) -> int | None:
    """Return when something of an entry is no longer ahead, UTC; `None` where nothing of it ever was."""
    if entry.reason != RowReason.ABSURD_TIME:
        return None
    times_ms = [time_ms for time_ms in _times_ms(entry, record) if time_ms >= EARLIEST_MS]
    return min(times_ms) - MAX_AHEAD_MS if times_ms else None


def _times_ms(entry: QuarantineEntry, record: Record) -> Iterator[int]:
    try:
        if record.topic.endswith("/birth"):
            yield birth.decode(record.body).time_ms
            return
        envelope = message.decode(record.body)
    except MalformedMessage:
        return
    wanted = None if entry.rows is None else frozenset(entry.rows)
    rows = (row for block in envelope.blocks for row in block.rows)
    for position, row in enumerate(rows):
        if wanted is None or position in wanted:
            yield from _time_ms(row)


def _time_ms(row: object) -> Iterator[int]:
    if isinstance(row, list) and len(row) > 1 and type(row[1]) is int:
        yield row[1]
