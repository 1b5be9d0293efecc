"""Records for tests of the journal, each told by its number."""

import os
from datetime import date

from ingest.journal.journal import Journal
from ingest.journal.reader import JournalReader
from ingest.journal.segments import Record

DAY_MS = 86_400_000
NOON_MS = 1_790_078_400_000  # 2026-09-22T12:00:00Z
DAY = date(2026, 9, 22)


def record(number: int, *, park: str = "demo", received_at_ms: int = NOON_MS, size: int = 20) -> Record:
    """Make a record; a larger size is filled with noise, which no compression takes away."""
    body = b"%020d" % number + os.urandom(max(0, size - 20))
    return Record(f"zonewise/v1/{park}/gw-1/data", received_at_ms, (("seq", str(number)),), body)


def bodies(journal: Journal | JournalReader, park: str = "demo") -> list[bytes]:
    """Read the bodies of a park's records."""
    return [one.body for _, one in journal.read(park)]
