"""Entries of the quarantine for messages and rows that were refused. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.journal.quarantine_entry import QuarantineEntry
from ingest.journal.segments import JournalPlace, Record
from ingest.validation.messages import ValidationResult
from ingest.validation.rows import RefusedRow

#: Meters named in an entry's detail; all of its rows are listed by their position.
_NAMED_METERS = 5


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
