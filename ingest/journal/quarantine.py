"""The quarantine: what was set aside instead of stored, with its reason and its place in the journal.

Entries are JSON lines below `<folder>/<park>/<YYYY-MM-DD>.<instance>.jsonl`, the day being that of receipt in
UTC. The data themselves stay in the journal, from which an entry can be replayed.

Invariants:
- When `add` returns, its entries are on the disk; when it fails, no half line stays.
- `add` takes whatever it is given. Its caller checks `is_full` first, and leaves the message unacknowledged
  when a gateway has used its quota of the day: so one gateway cannot fill the disk, and nothing is lost.
- A torn last line is cut off at the next `add`; reading skips what is no entry, with a log message.
"""

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from ingest.errors import QuarantineError
from ingest.journal.append_file import AppendFile, delete_expired
from ingest.journal.quarantine_entry import QuarantineEntry, decode_entry, encode_entry

_LOGGER = logging.getLogger(__name__)
_FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.([a-z0-9-]{1,32})\.jsonl")
_BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineLimits:
    """How large the quarantine may become.

    Attributes:
        keep_days: Days of receipt that `remove_expired` keeps.
        gateway_day_bytes: Entries of one gateway and one day of receipt (UTC).
    """

    keep_days: int = 365
    gateway_day_bytes: int = 100_000_000


class Quarantine:
    """The quarantine of all parks; `add` by one thread at a time, reading by anybody."""

    def __init__(self, folder: Path, *, instance: str = "1", limits: QuarantineLimits | None = None) -> None:
        self.folder = folder
        self.limits = limits or QuarantineLimits()
        self._instance = instance
        self._files: dict[str, AppendFile] = {}
        # By park, of the day whose file is open: bytes of each gateway's entries.
        self._used: dict[str, Counter[str | None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def add(self, entries: Sequence[QuarantineEntry]) -> None:
        """Bring entries to the disk, with one fsync per park and day.

        Raises:
            QuarantineError: when the disk refuses. Entries of other parks may be in already.
        """
        lines: dict[tuple[str, date], list[tuple[str | None, bytes]]] = defaultdict(list)
        for entry in entries:
            lines[entry.park, _day(entry.received_at_ms)].append((entry.gateway, encode_entry(entry)))
        for (park, day), some in lines.items():
            self._append(park, day, b"".join(line for _, line in some))
            for gateway, line in some:
                self._used[park][gateway] += len(line)

    def is_full(self, park: str, gateway: str, received_at_ms: int) -> bool:
        """Tell whether a gateway has used its quota of the day of receipt.

        Raises:
            QuarantineError: when the disk cannot be read.
        """
        path = self._path(park, _day(received_at_ms))
        try:
            self._file(park, path)
        except OSError as error:
            raise QuarantineError(path, 0, error) from error
        return self._used[park][gateway] >= self.limits.gateway_day_bytes

    def _path(self, park: str, day: date) -> Path:
        return self.folder / park / f"{day.isoformat()}.{self._instance}.jsonl"

    def _append(self, park: str, day: date, data: bytes) -> None:
        path = self._path(park, day)
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
        self._used[park] = _used_bytes(path)
        return opened

    def remove_expired(self, today: date) -> None:
        """Delete files of days that are not kept any more; what cannot be deleted stays for the next time."""
        for park in self.parks():
            for path in sorted((self.folder / park).iterdir()):
                match = _FILE.fullmatch(path.name)
                if match and (today - date.fromisoformat(match[1])).days > self.limits.keep_days:
                    delete_expired(path)

    def parks(self) -> tuple[str, ...]:
        """Return the parks that have entries."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(one.name for one in self.folder.iterdir() if one.is_dir()))

    def read(
        self, park: str, *, reason: str | None = None, since_ms: int | None = None
    ) -> Iterator[QuarantineEntry]:
        """Return a park's entries by day of receipt, those of a reason or received since an instant only."""
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


def _day(time_ms: int) -> date:
    return datetime.fromtimestamp(time_ms / 1000, UTC).date()


def _whole_lines_bytes(path: Path) -> int:
    """Return the size up to the end of the last whole line, reading from the end: a file may be large."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        size_bytes = start = file.seek(0, os.SEEK_END)
        whole_bytes = 0
        while start and not whole_bytes:
            start = max(0, start - _BLOCK_BYTES)
            file.seek(start)
            whole_bytes = file.read(_BLOCK_BYTES).rfind(b"\n") + 1
        whole_bytes = start + whole_bytes if whole_bytes else 0
    if whole_bytes < size_bytes:
        _LOGGER.warning("%s: torn last line cut off, %d bytes", path, size_bytes - whole_bytes)
    return whole_bytes


def _used_bytes(path: Path) -> Counter[str | None]:
    """Return the bytes of each gateway's entries in a file."""
    used: Counter[str | None] = Counter()
    if path.exists():
        for entry, line in _entries(path):
            used[entry.gateway] += len(line)
    return used


def _read_file(path: Path) -> Iterator[QuarantineEntry]:
    return (entry for entry, _ in _entries(path))


def _entries(path: Path) -> Iterator[tuple[QuarantineEntry, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line == b"\n":
                continue
            try:
                yield decode_entry(line), line
            except (KeyError, TypeError, ValueError) as error:
                _LOGGER.warning("%s:%d: no entry, skipped: %s", path, number, error)
