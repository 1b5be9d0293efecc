"""The journal: every data message and birth as received, from which everything can be rebuilt.

Segments stand below `<folder>/<park>/<YYYY-MM-DD>.<instance>.<n>.zwj`: the day is that of receipt in UTC, one
instance writes each, and a new number begins when a segment is full. `ingest.journal.segments` has their
bytes.

Invariants:
- When `append` returns, its records are on the disk: one fsync per park and day, however many records.
- When it fails, nothing of the failed frame stays, and the next `append` may work.
- One process writes under an instance name; any number may read meanwhile (`JournalReader`).
- A torn tail is cut off when the journal is opened, never what lies before good frames.
"""

import fcntl
import itertools
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from ingest.errors import JournalError, JournalLocked
from ingest.journal.append_file import AppendFile, delete_expired, make_folder
from ingest.journal.reader import JournalReader, SegmentName
from ingest.journal.segments import HEADER, JournalPlace, Record, encode_frame, good_size_bytes, is_ours
from metering.messages.topics import GatewayTopic, maybe_parse

_LOGGER = logging.getLogger(__name__)
#: A segment of this size is read into memory as a whole.
FULL_BYTES = 64 * 1024 * 1024
#: Records of one append are cut into frames of about this size, so that reading one back stays cheap.
_FRAME_BYTES = 4 * 1024 * 1024


class Journal:
    """The writing side; a context manager that holds the instance's lock. One thread at a time."""

    def __init__(
        self, folder: Path, *, instance: str = "1", keep_days: int | None = None, full_bytes: int = FULL_BYTES
    ) -> None:
        """Open the journal and cut off torn tails.

        Args:
            folder: Created where it is missing.
            instance: Name that no other process may write under.
            keep_days: Days of receipt that are kept by `remove_expired`; `None` = for ever.
            full_bytes: Size at which a segment is followed by the next.

        Raises:
            JournalLocked: when another process writes under the instance name.
            JournalError: when the folder cannot be used.
        """
        self.reader = JournalReader(folder)
        self._instance = instance
        self._keep_days = keep_days
        self._full_bytes = full_bytes
        self._open: dict[str, tuple[SegmentName, AppendFile]] = {}
        self._lock = _lock(folder, instance)
        for park in self.reader.parks():
            self._cut_torn_tail(park)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the segments and release the lock."""
        for _, file in self._open.values():
            file.close()
        self._open.clear()
        os.close(self._lock)

    def append(self, records: Sequence[Record]) -> tuple[JournalPlace, ...]:
        """Bring records to the disk and return their places, in the same order.

        Raises:
            JournalError: when the disk refuses. Records of other parks may be in already: append all again,
                a record may stand in the journal twice.
            ValueError: for a topic that is no gateway's.
        """
        places: dict[int, JournalPlace] = {}
        for (park, day), numbered in _grouped(records).items():
            for some in _split(numbered):
                places.update(self._append_frame(park, day, some))
        return tuple(places[number] for number in range(len(records)))

    def _append_frame(
        self, park: str, day: date, numbered: Sequence[tuple[int, Record]]
    ) -> Iterable[tuple[int, JournalPlace]]:
        frame = encode_frame([record for _, record in numbered])
        path = self.reader.folder / park
        try:
            name, file = self._segment(park, day)
            path = file.path
            data = frame if file.size_bytes else HEADER + frame
            offset = file.append(data) + len(data) - len(frame)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                self._open.pop(park, None)
            raise JournalError(path, len(frame), error) from error
        return [
            (number, JournalPlace(park, str(name), offset, index))
            for index, (number, _) in enumerate(numbered)
        ]

    def _segment(self, park: str, day: date) -> tuple[SegmentName, AppendFile]:
        maybe_open = self._open.get(park)
        if maybe_open is not None:
            name, file = maybe_open
            if name.day == day and file.size_bytes < self._full_bytes:
                return maybe_open
            file.close()
        opened = self._open[park] = self._open_segment(park, day)
        return opened

    def _open_segment(self, park: str, day: date) -> tuple[SegmentName, AppendFile]:
        name = SegmentName(day, self._instance, self._next_number(park, day))
        last = SegmentName(day, self._instance, name.number - 1)
        path = self.reader.path(park, last)
        maybe_size = _maybe_appendable_bytes(path) if path.exists() else None
        if maybe_size is not None and maybe_size < self._full_bytes:
            return last, AppendFile(path, size_bytes=maybe_size)
        return name, AppendFile(self.reader.path(park, name), size_bytes=0)

    def _next_number(self, park: str, day: date) -> int:
        taken = [one.number for one in self._own_segments(park) if one.day == day]
        return max(taken, default=0) + 1

    def _own_segments(self, park: str) -> list[SegmentName]:
        return [one for one in self.reader.segments(park) if one.instance == self._instance]

    def _cut_torn_tail(self, park: str) -> None:
        own = self._own_segments(park)
        if not own:
            return
        path = self.reader.path(park, own[-1])
        try:
            maybe_size = _maybe_appendable_bytes(path)
            torn_bytes = 0 if maybe_size is None else path.stat().st_size - maybe_size
            if maybe_size is not None and torn_bytes:
                os.truncate(path, maybe_size)
                _LOGGER.warning("%s: torn last record cut off, %d bytes", path, torn_bytes)
        except OSError as error:
            raise JournalError(path, 0, error) from error

    def read(
        self, park: str, *, first_day: date | None = None, last_day: date | None = None
    ) -> Iterator[tuple[JournalPlace, Record]]:
        """Return a park's records; see `JournalReader.read`."""
        return self.reader.read(park, first_day=first_day, last_day=last_day)

    def remove_expired(self, today: date) -> tuple[Path, ...]:
        """Delete this instance's segments that are older than the days to keep, and return their paths.

        One that cannot be deleted is logged and stays for the next time.
        """
        if self._keep_days is None:
            return ()
        expired = [
            self.reader.path(park, segment)
            for park in self.reader.parks()
            for segment in self._own_segments(park)
            if (today - segment.day).days > self._keep_days
        ]
        return tuple(path for path in expired if delete_expired(path))


def _lock(folder: Path, instance: str) -> int:
    path = folder / f".{instance}.lock"
    try:
        make_folder(folder)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise JournalError(path, 0, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise JournalLocked(
            f"{folder}: another process writes the journal as instance {instance!r};"
            " stop it, or give this one another `instance`"
        ) from error
    return fd


def _maybe_appendable_bytes(path: Path) -> int | None:
    """Return the size up to which a segment is good; `None` when a newer version wrote it."""
    data = path.read_bytes()
    if not is_ours(data[: len(HEADER)]):
        _LOGGER.warning("%s: written by another version, left alone", path)
        return None
    return good_size_bytes(data)


Numbered = list[tuple[int, Record]]


def _grouped(records: Sequence[Record]) -> Mapping[tuple[str, date], Numbered]:
    """Sort records by park and day of receipt, each with its number in the call."""
    groups: dict[tuple[str, date], Numbered] = defaultdict(list)
    for number, record in enumerate(records):
        topic = maybe_parse(record.topic)
        if not isinstance(topic, GatewayTopic):
            raise ValueError(f"{record.topic!r} is no gateway's topic")  # noqa: TRY004 - the value is wrong, not its type
        day = datetime.fromtimestamp(record.received_at_ms / 1000, UTC).date()
        groups[topic.park, day].append((number, record))
    return groups


def _split(numbered: Numbered) -> Iterator[Numbered]:
    sizes = itertools.accumulate(len(record.body) for _, record in numbered)
    by_frame = itertools.groupby(zip(numbered, sizes, strict=True), key=lambda pair: pair[1] // _FRAME_BYTES)
    for _, pairs in by_frame:
        yield [one for one, _ in pairs]
