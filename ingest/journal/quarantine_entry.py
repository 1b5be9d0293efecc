"""Entries of the quarantine: their lines, and which are still unresolved. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from ingest.journal.segments import JournalPlace

_MAX_DETAIL = 500
#: Reason of an entry that marks earlier ones of the same message as settled.
RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """A message, or some of its rows, that was set aside.

    Attributes:
        park: Whose quarantine.
        reason: Stable key (`metering.messages.data.REASONS`, `ingest.validation.rows.RowReason`, ...).
        received_at_ms: Receipt of the message, UTC milliseconds since 1970.
        place: Where the message stands in the journal.
        row_count: Rows set aside: what the accounts count.
        rows: Index of each row in the message, over all blocks; `None` = the whole message.
        gateway: As in the topic.
        epoch: `None` where the message has no readable one.
        seq: Likewise.
        detail: For people.
    """

    park: str
    reason: str
    received_at_ms: int
    place: JournalPlace
    row_count: int
    rows: tuple[int, ...] | None = None
    gateway: str | None = None
    epoch: str | None = None
    seq: int | None = None
    detail: str = ""


def unresolved(entries: Iterable[QuarantineEntry]) -> list[QuarantineEntry]:
    """Return what is still set aside: entries without the rows that a later entry has settled."""
    entries = list(entries)
    settled_wholly: set[tuple[JournalPlace, str]] = set()
    settled_rows: dict[tuple[JournalPlace, str], set[int]] = defaultdict(set)
    for entry in entries:
        if entry.reason == RESOLVED and entry.rows is None:
            settled_wholly.add((entry.place, entry.detail))
        elif entry.reason == RESOLVED and entry.rows is not None:
            settled_rows[entry.place, entry.detail].update(entry.rows)
    left = (
        without(entry, settled_rows[entry.place, entry.reason])
        for entry in entries
        if entry.reason != RESOLVED and (entry.place, entry.reason) not in settled_wholly
    )
    return [entry for entry in left if entry.rows != ()]


def without(entry: QuarantineEntry, settled: Collection[int]) -> QuarantineEntry:
    """Return an entry without the rows that are settled."""
    if entry.rows is None:
        return entry
    rows = tuple(row for row in entry.rows if row not in settled)
    return replace(entry, rows=rows, row_count=len(rows))


def encode_entry(entry: QuarantineEntry) -> bytes:
    """Return the line of an entry, with its line feed."""
    # Received JSON may hold lone surrogates, which UTF-8 cannot.
    detail = entry.detail[:_MAX_DETAIL].encode(errors="replace").decode()
    short = replace(entry, detail=detail)
    return orjson.dumps(asdict(short), option=orjson.OPT_APPEND_NEWLINE)


def decode_entry(line: bytes) -> QuarantineEntry:
    """Return the entry of a line.

    Raises:
        KeyError, TypeError, ValueError: when it is none.
    """
    parsed: dict[str, Any] = orjson.loads(line)
    maybe_rows = parsed["rows"]
    return QuarantineEntry(
        **{
            **parsed,
            "place": JournalPlace(**parsed["place"]),
            "rows": None if maybe_rows is None else tuple(maybe_rows),
        }
    )
