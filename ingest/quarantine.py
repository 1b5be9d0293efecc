"""The quarantine: what was set aside instead of stored, with its reason and its place in the journal.

Entries are JSON lines below `<folder>/<park>/<YYYY-MM-DD>.<instance>.jsonl`, the day being that of receipt in
UTC. The data themselves stay in the journal, from which an entry can be replayed.

Invariants:
- When `add` returns, its entries are on the disk; when it fails, no half line stays.
- A torn last line is cut off at the next `add`; reading skips what is no entry, with a log message.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

import orjson

from ingest.append_file import AppendFile
from ingest.errors import QuarantineError
from ingest.journal_reader import Place

_LOGGER = logging.getLogger(__name__)
_FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.([a-z0-9-]{1,32})\.jsonl")
_LONGEST_DETAIL = 500
#: Reason of an entry that says that others, at the same place, are settled.
RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Entry:
    """A message, or some of its rows, that was set aside.

    Attributes:
        park: Whose quarantine.
        reason: Stable key (`metering.message.REASONS`, `ingest.validate.RowReason`, ...).
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
    place: Place
    row_count: int
    rows: tuple[int, ...] | None = None
    gateway: str | None = None
    epoch: str | None = None
    seq: int | None = None
    detail: str = ""


class Quarantine:
    """The quarantine of all parks; `add` by one thread at a time, reading by anybody."""

    def __init__(self, folder: Path, *, instance: str = "1") -> None:
        self.folder = folder
        self._instance = instance
        self._files: dict[str, AppendFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def add(self, entries: Sequence[Entry]) -> None:
        """Bring entries to the disk, with one fsync per park and day.

        Raises:
            QuarantineError: when the disk refuses. Entries of other parks may be in already.
        """
        lines: dict[tuple[str, date], list[bytes]] = defaultdict(list)
        for entry in entries:
            lines[entry.park, _day(entry.received_at_ms)].append(_encode(entry))
        for (park, day), some in lines.items():
            self._append(park, day, b"".join(some))

    def _append(self, park: str, day: date, data: bytes) -> None:
        path = self.folder / park / f"{day.isoformat()}.{self._instance}.jsonl"
        try:
            self._file(park, path).append(data)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                self._files.pop(park, None)
            raise QuarantineError(path, len(data), error) from error

    def _file(self, park: str, path: Path) -> AppendFile:
        maybe_file = self._files.get(park)
        if maybe_file is not None and maybe_file.path == path:
            return maybe_file
        if maybe_file is not None:
            maybe_file.close()
        opened = self._files[park] = AppendFile(path, size_bytes=_whole_lines_bytes(path))
        return opened

    def parks(self) -> tuple[str, ...]:
        """Give the parks that have entries."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(one.name for one in self.folder.iterdir() if one.is_dir()))

    def read(self, park: str, *, reason: str | None = None, since_ms: int | None = None) -> Iterator[Entry]:
        """Give a park's entries by day of receipt, those of a reason or received since an instant only."""
        folder = self.folder / park
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            match = _FILE.fullmatch(path.name)
            if match is None or (since_ms is not None and date.fromisoformat(match[1]) < _day(since_ms)):
                continue
            for entry in _read_file(path):
                if reason in (None, entry.reason) and entry.received_at_ms >= (since_ms or 0):
                    yield entry

    def rows_by_reason(self, park: str, *, since_ms: int | None = None) -> Counter[str]:
        """Count the rows set aside, by reason."""
        counts: Counter[str] = Counter()
        for entry in self.read(park, since_ms=since_ms):
            counts[entry.reason] += entry.row_count
        return counts


def unresolved(entries: Iterable[Entry]) -> list[Entry]:
    """Return what is still set aside: entries without the rows that a later entry has settled."""
    entries = list(entries)
    settled_wholly: set[tuple[Place, str]] = set()
    settled_rows: dict[tuple[Place, str], set[int]] = defaultdict(set)
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


def without(entry: Entry, settled: Collection[int]) -> Entry:
    """Return an entry without the rows that are settled."""
    if entry.rows is None:
        return entry
    rows = tuple(row for row in entry.rows if row not in settled)
    return replace(entry, rows=rows, row_count=len(rows))


def _day(time_ms: int) -> date:
    return datetime.fromtimestamp(time_ms / 1000, UTC).date()


def _encode(entry: Entry) -> bytes:
    # Strangers' JSON may hold lone surrogates, which UTF-8 cannot.
    detail = entry.detail[:_LONGEST_DETAIL].encode(errors="replace").decode()
    short = replace(entry, detail=detail)
    return orjson.dumps(asdict(short), option=orjson.OPT_APPEND_NEWLINE)


def _whole_lines_bytes(path: Path) -> int:
    """Give the size up to the end of the last whole line."""
    data = path.read_bytes() if path.exists() else b""
    size = data.rfind(b"\n") + 1
    if size < len(data):
        _LOGGER.warning("%s: torn last line cut off, %d bytes", path, len(data) - size)
    return size


def _read_file(path: Path) -> Iterator[Entry]:
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line:
            continue
        try:
            yield _decode(orjson.loads(line))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            _LOGGER.warning("%s:%d: no entry, skipped: %s", path, number, error)


def _decode(parsed: dict[str, Any]) -> Entry:
    maybe_rows = parsed["rows"]
    return Entry(
        **{
            **parsed,
            "place": Place(**parsed["place"]),
            "rows": None if maybe_rows is None else tuple(maybe_rows),
        }
    )
