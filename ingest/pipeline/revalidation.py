"""Validates again what was ahead of the clock, once its time has come; runs beside a park's pipeline.

Contract:
- At its start it recalls from the quarantine what is not settled yet, the newest entries (a bounded number).
- What is good now is written and its entry marked as resolved, as by `zonewise-ingest quarantine replay`.
- It changes no account and sends no acknowledgement: the one at receipt already reports these rows as
  quarantined.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from ingest.errors import DiskError
from ingest.journal.journal_and_quarantine import JournalAndQuarantine
from ingest.journal.quarantine_entry import QuarantineEntry
from ingest.journal.segments import Record
from ingest.pipeline.ahead import Ahead, maybe_due_ms
from ingest.pipeline.pipeline import Pipeline
from ingest.pipeline.refusals import Journaled
from ingest.pipeline.replay import retry
from ingest.pipeline.writer import ParkWriter
from ingest.validation.rows import RowReason

_LOGGER = logging.getLogger(__name__)
_LOOK_EVERY_S = 1.0
#: After a disk refused, or where a part of an entry is still ahead.
_PAUSE_MS = 60_000


class Revalidation:
    """Empties a park's `Ahead`.

    Args:
        park: Id.
        ahead: What the pipeline has noted, and what is recalled.
        pipeline: Validates.
        writer: Writes what is good now.
        journal_and_quarantine: Of the process.
        maybe_now_ms: The time, UTC; `None` while the clock is in doubt.
    """

    def __init__(
        self,
        park: str,
        ahead: Ahead,
        *,
        pipeline: Pipeline,
        writer: ParkWriter,
        journal_and_quarantine: JournalAndQuarantine,
        maybe_now_ms: Callable[[], int | None],
    ) -> None:
        self._park = park
        self._ahead = ahead
        self._pipeline = pipeline
        self._writer = writer
        self._journal_and_quarantine = journal_and_quarantine
        self._maybe_now_ms = maybe_now_ms
        self.rows_stored = 0

    async def run(self) -> None:
        """Work until cancelled."""
        await self._recall()
        while True:
            await self._validate_due()
            if self._ahead.must_recall:
                await self._recall()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _recall(self) -> None:
        self._ahead.left_out = 0
        for entry in await self._unresolved():
            await self._note(entry, after_ms=0)
        if self._ahead.left_out:
            _LOGGER.warning(
                "%s: more rows are ahead of the clock than fit in memory; the others follow", self._park
            )

    async def _unresolved(self) -> Sequence[QuarantineEntry]:
        reason = str(RowReason.ABSURD_TIME)
        try:
            return await asyncio.to_thread(self._journal_and_quarantine.unresolved, self._park, reason)
        except OSError as error:
            _LOGGER.warning("%s: the quarantine cannot be read: %s", self._park, error)
            return ()

    async def _validate_due(self) -> None:
        while (maybe_now_ms := self._maybe_now_ms()) is not None:
            maybe_entry = self._ahead.maybe_take(maybe_now_ms)
            if maybe_entry is None:
                return
            await self._validate(maybe_entry, maybe_now_ms)

    async def _validate(self, entry: QuarantineEntry, now_ms: int) -> None:
        maybe_record = await self._maybe_record(entry)
        if maybe_record is None:
            _LOGGER.warning(
                "%s: %d rows were ahead of the clock; they are no longer in the journal",
                self._park,
                entry.row_count,
            )
            return
        (result,) = await self._pipeline.validate([replace(maybe_record, received_at_ms=now_ms)])
        journaled = Journaled(maybe_record, result, entry.place)
        try:
            retried = await retry(entry, journaled, self._writer, self._quarantine)
        except DiskError as error:
            _LOGGER.warning("%s: rows that were ahead of the clock wait: %s", self._park, error)
            self._ahead.note(entry, now_ms + _PAUSE_MS)
            return
        self.rows_stored += retried.rows
        if retried.rows:
            _LOGGER.info(
                "%s: %d rows of %s that were ahead are stored", self._park, retried.rows, entry.gateway
            )
        if retried.maybe_left is not None:
            await self._note(retried.maybe_left, after_ms=now_ms + _PAUSE_MS, maybe_record=maybe_record)

    async def _maybe_record(self, entry: QuarantineEntry) -> Record | None:
        try:
            return await asyncio.to_thread(self._journal_and_quarantine.maybe_record, entry.place)
        except OSError as error:
            _LOGGER.warning("%s: the journal cannot be read: %s", self._park, error)
            return None

    async def _quarantine(self, entries: Sequence[QuarantineEntry]) -> None:
        await asyncio.to_thread(self._journal_and_quarantine.quarantine, entries)

    async def _note(
        self, entry: QuarantineEntry, *, after_ms: int, maybe_record: Record | None = None
    ) -> None:
        if maybe_record is None:
            maybe_record = await self._maybe_record(entry)
        maybe_due = None if maybe_record is None else maybe_due_ms(entry, maybe_record)
        if maybe_due is not None:
            self._ahead.note(entry, max(maybe_due, after_ms))
