"""Journal and quarantine of a process behind one lock.

Used through `asyncio.to_thread` by the pipelines of all parks; both allow one thread at a time.
"""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import date

from ingest.journal.journal import Journal
from ingest.journal.quarantine import Quarantine
from ingest.journal.quarantine_entry import RESOLVED, QuarantineEntry, unresolved
from ingest.journal.segments import JournalPlace, Record

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
