"""Replay: validate again what the journal or the quarantine holds, and write it.

Contract:
- Each record is validated by the time of the replay (what was ahead at its receipt may be good now, and the
  receipt may bear the time of a wrong clock) and the relations of `park.yaml` as they stand today, in the
  order of receipt over all instances. Writing is idempotent, so a replay over full databases changes no
  point, and one into empty databases gives the same points: those of the media and of `meters`.
- While the clock is in doubt, nothing is replayed (`ingest.clock.rules`).
- A replay of the whole journal begins with an empty registry and learns the births anew. One that begins
  later, or in a journal that is not kept for ever, starts from what `meters` holds.
- Replay acknowledges nothing and moves no account. What it refuses is in the quarantine already.
- It runs beside `zonewise-ingest run`; its `late` points and quarantine entries bear an instance name of
  their own.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from operator import attrgetter

from ingest.events.open_events import OpenEvents
from ingest.journal.quarantine import Quarantine
from ingest.journal.quarantine_entry import RESOLVED, QuarantineEntry, without
from ingest.journal.reader import JournalReader, SegmentName
from ingest.journal.segments import JournalPlace, Record
from ingest.pipeline.refusals import Journaled, to_entries
from ingest.pipeline.supervision import validate_safely
from ingest.pipeline.writer import ParkWriter
from ingest.store.contract import Store
from ingest.validation.messages import MessageValidator, ValidationResult
from ingest.validation.registry import Registry
from ingest.validation.rows import RowReason, StoredRow
from ingest.validation.stored_registry import load_registry
from metering.park.model import Park

#: Lines of a body.
_BATCH_LINES = 5000

#: Called with the figures so far, after each batch.
Progress = Callable[["Figures"], None]
#: Returns the time, UTC milliseconds; raises where the clock is in doubt.
Now = Callable[[], int]
#: Brings entries to the quarantine.
Add = Callable[[Sequence[QuarantineEntry]], Awaitable[None]]


@dataclass(slots=True)
class Figures:
    """What a replay has done so far.

    Attributes:
        records: Data messages and births validated.
        rows: Rows written.
        points: Points of `meters` written.
        refused: Rows not written, by reason; messages that hold no readable row count 0 rows.
        last_ms: Receipt of the last record, UTC.
    """

    records: int = 0
    rows: int = 0
    points: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    last_ms: int = 0

    def note(self, record: Record, result: ValidationResult) -> None:
        """Add a record."""
        self.records += 1
        self.last_ms = record.received_at_ms
        self.rows += len(result.stored)
        self.points += len(result.points)
        if result.maybe_reason is not None:
            self.refused[result.maybe_reason] += result.rows
        self.refused.update(row.reason for row in result.refused)


def replay_writer(store: Store, park: str, instance: str, *, now: Now, since_ms: int) -> ParkWriter:
    """Return a writer for a replay; `since_ms` as in `ParkWriter`."""
    return ParkWriter(
        store,
        park,
        instance=replay_instance(instance),
        events=OpenEvents(),
        clock_ms=now,
        jitter=lambda: 0.0,
        since_ms=since_ms,
    )


def replay_instance(instance: str) -> str:
    """Return the instance name under which a replay writes; names have 32 characters at most."""
    return f"{instance[:25]}-replay"


def in_order_of_receipt(
    reader: JournalReader, park: str, *, first_day: date | None, last_day: date | None
) -> Iterator[tuple[JournalPlace, Record]]:
    """Merge the segments of all instances of a park; days are of receipt, in UTC, both included."""
    wanted = [
        segment
        for segment in reader.segments(park)
        if (first_day or date.min) <= segment.day <= (last_day or date.max)
    ]
    streams = [
        _segments(reader, park, tuple(own))
        for _, own in groupby(sorted(wanted, key=attrgetter("instance")), key=attrgetter("instance"))
    ]
    return heapq.merge(*streams, key=lambda placed: placed[1].received_at_ms)


def _segments(
    reader: JournalReader, park: str, segments: Iterable[SegmentName]
) -> Iterator[tuple[JournalPlace, Record]]:
    for segment in sorted(segments):
        yield from reader.read_segment(park, segment)


async def replay_journal(
    records: Iterable[tuple[JournalPlace, Record]],
    validator: MessageValidator,
    writer: ParkWriter,
    *,
    progress: Progress,
    now: Now,
) -> Figures:
    """Validate records and write what they hold; return the figures at the end.

    What InfluxDB refuses for good is counted as *refused_by_influxdb*.
    """
    figures = Figures()
    rows: list[StoredRow] = []
    points: list[bytes] = []
    for _, record in records:
        result = validate_safely(validator, replace(record, received_at_ms=now()))
        figures.note(record, result)
        rows += result.stored
        points += result.points
        if len(rows) + len(points) >= _BATCH_LINES:
            await _write(writer, rows, points, figures)
            progress(figures)
            rows, points = [], []
    await _write(writer, rows, points, figures)
    progress(figures)
    return figures


async def _write(
    writer: ParkWriter, rows: Sequence[StoredRow], points: Sequence[bytes], figures: Figures
) -> None:
    refused_points = await writer.write_points(points)
    refused_rows = await writer.write_rows(rows)
    figures.points -= len(refused_points)
    figures.rows -= len(refused_rows)
    if refused_rows:
        figures.refused[RowReason.REFUSED_BY_INFLUXDB] += len(refused_rows)


def registry_for_replay(store: Store, park: Park, *, from_the_start: bool) -> Registry:
    """Return the registry with which a replay begins.

    Raises:
        StoreError: when `meters` cannot be read.
    """
    loaded = load_registry(store, park)
    return Registry(park) if from_the_start else loaded


# -- quarantine -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Retried:
    """What a replay of the quarantine has done.

    Attributes:
        rows: Rows written.
        entries: Entries settled, wholly or in part.
        left: Entries that stay as they are, by the reason of today.
    """

    rows: int = 0
    entries: int = 0
    left: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Retry:
    """What became of one entry.

    Attributes:
        rows: Rows written.
        maybe_reason: Why the entry stays as it is; `None` = it is settled, wholly or in part.
        maybe_left: What of it is still set aside for the same reason.
    """

    rows: int = 0
    maybe_reason: str | None = None
    maybe_left: QuarantineEntry | None = None


async def replay_quarantine(
    entries: Iterable[QuarantineEntry],
    reader: JournalReader,
    validator: MessageValidator,
    writer: ParkWriter,
    quarantine: Quarantine,
    *,
    now: Now,
) -> Retried:
    """Validate again what was set aside, write what is good now, and note that it is settled.

    Rows of a settled message that are refused for another reason get an entry of their own.
    """

    async def add(entries: Sequence[QuarantineEntry]) -> None:
        await asyncio.to_thread(quarantine.add, entries)

    retried = Retried()
    for entry in entries:
        maybe_record = reader.maybe_record(entry.place)
        if maybe_record is None:
            retried.left["no_longer_in_journal"] += 1
            continue
        result = validate_safely(validator, replace(maybe_record, received_at_ms=now()))
        one = await retry(entry, Journaled(maybe_record, result, entry.place), writer, add)
        retried.rows += one.rows
        if one.maybe_reason is None:
            retried.entries += 1
        else:
            retried.left[one.maybe_reason] += 1
    return retried


async def retry(entry: QuarantineEntry, journaled: Journaled, writer: ParkWriter, add: Add) -> Retry:
    """Write what is good now of an entry whose message was validated again, and note what is settled."""
    result = journaled.result
    if result.maybe_reason is not None:
        return Retry(
            maybe_reason=result.maybe_reason,
            maybe_left=entry if result.maybe_reason == entry.reason else None,
        )
    wanted = set(range(result.rows) if entry.rows is None else entry.rows)
    again = [row for row in result.refused if row.position in wanted]
    wanted -= {row.position for row in again if row.reason == entry.reason}
    rows = [row for row in result.stored if row.position in wanted]
    if entry.rows is not None and not wanted:
        return Retry(maybe_reason=entry.reason, maybe_left=entry)
    if await writer.write_points(result.points) or await writer.write_rows(rows):
        return Retry(maybe_reason=RowReason.REFUSED_BY_INFLUXDB)
    resolved = None if entry.rows is None else tuple(sorted(wanted))
    others = [row for row in again if row.position in wanted]
    await add(
        [*to_entries(journaled, others), replace(entry, reason=RESOLVED, detail=entry.reason, rows=resolved)]
    )
    left = without(entry, wanted)
    return Retry(rows=len(rows), maybe_left=left if left.rows else None)
