"""Journal and quarantine behind one lock; entries of refused messages and rows.

Used through `asyncio.to_thread` by the pipelines of all parks; both allow one thread at a time.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from ingest.journal.journal import Journal
from ingest.journal.quarantine import Quarantine
from ingest.journal.quarantine_entry import RESOLVED, QuarantineEntry, unresolved
from ingest.journal.segments import JournalPlace, Record
from ingest.validation.messages import ValidationResult
from ingest.validation.rows import RefusedRow

#: Meters named in an entry's detail; all of its rows are listed by their position.
_NAMED_METERS = 5
#: Entries that are looked at for what is still to be settled; bounds memory.
MAX_RECALLED = 20_000


class JournalAndQuarantine:
    """Journal and quarantine of a process."""

    def __init__(self, journal: Journal, quarantine: Quarantine) -> None:
        self._journal = journal
        self._quarantine = quarantine
        self._lock = threading.Lock()

    def journal(self, records: Sequence[Record]) -> tuple[JournalPlace, ...]:
        """Bring records to the disk and return their places.

        Raises:
            JournalError: when the disk refuses.
        """
        with self._lock:
            return self._journal.append(records)

    def quarantine(self, entries: Sequence[QuarantineEntry]) -> None:
        """Bring entries to the disk.

        Raises:
            QuarantineError: when the disk refuses.
        """
        with self._lock:
            self._quarantine.add(entries)

    def full_quotas(self, park: str, received: Iterable[tuple[str, int]]) -> frozenset[str]:
        """Return the gateways that have used their quota of the quarantine.

        Args:
            park: Whose quarantine.
            received: Gateways and the receipt of a message of theirs, UTC milliseconds.

        Raises:
            QuarantineError: when the disk refuses.
        """
        with self._lock:
            return frozenset(
                gateway for gateway, at_ms in received if self._quarantine.is_full(park, gateway, at_ms)
            )

    @property
    def quota_bytes(self) -> int:
        """Bytes of the quarantine that a gateway may fill in a day."""
        return self._quarantine.limits.gateway_day_bytes

    def last_births(self, park: str) -> list[Record]:
        """Return the births in a park's last segment: a former process may have died before it wrote them."""
        segments = self._journal.reader.segments(park)[-1:]
        return [
            record
            for segment in segments
            for _, record in self._journal.reader.read_segment(park, segment)
            if record.topic.endswith("/birth")
        ]

    def maybe_record(self, place: JournalPlace) -> Record | None:
        """Return a record of the journal; `None` when it is no longer kept."""
        return self._journal.reader.maybe_record(place)

    def unresolved(self, park: str, reason: str) -> list[QuarantineEntry]:
        """Return the newest entries of a reason that nothing has settled since."""
        about = (
            one
            for one in self._quarantine.read(park)
            if one.reason == reason or (one.reason == RESOLVED and one.detail == reason)
        )
        return unresolved(deque(about, maxlen=MAX_RECALLED))

    def maybe_newest_ms(self, park: str) -> int | None:
        """Return the latest receipt in a park's journal, UTC milliseconds."""
        return self._journal.reader.maybe_newest_ms(park)

    def remove_expired(self, today: date) -> None:
        """Delete journal segments and quarantine files that are older than the days to keep."""
        with self._lock:
            self._journal.remove_expired(today)
            self._quarantine.remove_expired(today)


@dataclass(frozen=True, slots=True)
class Journaled:
    """A message that is in the journal, and the result of its validation."""

    record: Record
    result: ValidationResult
    place: JournalPlace


def to_entries(journaled: Journaled, refused: Iterable[RefusedRow]) -> Iterator[QuarantineEntry]:
    """Return an entry per reason for some of a message's rows."""
    by_reason: dict[str, list[RefusedRow]] = defaultdict(list)
    for row in refused:
        by_reason[row.reason].append(row)
    for reason, rows in by_reason.items():
        meters = sorted({row.meter for row in rows})
        more = f" and {len(meters) - _NAMED_METERS} more" if len(meters) > _NAMED_METERS else ""
        detail = ", ".join(repr(meter) for meter in meters[:_NAMED_METERS]) + more
        yield _entry(journaled, reason, detail, tuple(row.position for row in rows))


def refusal_entries(journaled: Journaled) -> Iterator[QuarantineEntry]:
    """Return the entries of a message that was refused as a whole, or of its refused rows."""
    if journaled.result.maybe_reason is not None:
        yield _entry(journaled, journaled.result.maybe_reason, journaled.result.detail, None)
    else:
        yield from to_entries(journaled, journaled.result.refused)


def point_entry(journaled: Journaled, reason: str, detail: str) -> QuarantineEntry:
    """Return the entry of a birth whose points InfluxDB refuses."""
    return _entry(journaled, reason, detail, None)


def _entry(journaled: Journaled, reason: str, detail: str, rows: tuple[int, ...] | None) -> QuarantineEntry:
    maybe_id = journaled.result.maybe_id
    return QuarantineEntry(
        park=journaled.place.park,
        reason=reason,
        received_at_ms=journaled.record.received_at_ms,
        place=journaled.place,
        row_count=journaled.result.rows if rows is None else len(rows),
        rows=rows,
        gateway=journaled.result.gateway,
        epoch=None if maybe_id is None else maybe_id.epoch,
        seq=None if maybe_id is None else maybe_id.seq,
        detail=detail,
    )
