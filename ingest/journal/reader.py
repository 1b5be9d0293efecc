"""Where a journal's records lie, and reading them: also while another process appends.

A reader sees whole frames only: one that is under way is not there yet. Damage is logged and skipped.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Self

from ingest.journal.segments import (
    FRAME_OVERHEAD_BYTES,
    Frame,
    JournalPlace,
    Record,
    maybe_frame_at,
    maybe_frame_bytes,
    scan,
)

_LOGGER = logging.getLogger(__name__)
_SEGMENT = re.compile(r"(\d{4}-\d\d-\d\d)\.([a-z0-9-]{1,32})\.(\d+)\.zwj")


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """Name of a segment of a park; sorts by day, then instance, then number."""

    day: date
    instance: str
    number: int

    def __str__(self) -> str:
        return f"{self.day.isoformat()}.{self.instance}.{self.number}.zwj"

    @classmethod
    def maybe_parse(cls, name: str) -> Self | None:
        """Read a file name; `None` for a file that is no segment."""
        match = _SEGMENT.fullmatch(name)
        try:
            return None if match is None else cls(date.fromisoformat(match[1]), match[2], int(match[3]))
        except ValueError:  # no such day
            return None


class JournalReader:
    """Reads a journal, also while another process appends: a frame under way is not seen yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def parks(self) -> tuple[str, ...]:
        """Return the parks that have segments."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(one.name for one in self.folder.iterdir() if one.is_dir()))

    def segments(self, park: str) -> tuple[SegmentName, ...]:
        """Return a park's segments in the order of reading."""
        folder = self.folder / park
        names = (SegmentName.maybe_parse(one.name) for one in folder.iterdir()) if folder.is_dir() else ()
        return tuple(sorted(name for name in names if name is not None))

    def path(self, park: str, segment: SegmentName | str) -> Path:
        """Return the file of a segment."""
        return self.folder / park / str(segment)

    def frames(self, park: str, segment: SegmentName) -> Iterator[Frame]:
        """Read the frames of a segment; damage is logged and skipped."""
        path = self.path(park, segment)
        for part in scan(path.read_bytes()):
            if isinstance(part, Frame):
                yield part
            elif part.torn:
                _LOGGER.debug("%s: the last %d bytes are no whole frame (yet)", path, part.size_bytes)
            else:
                _LOGGER.error("%s: %d damaged bytes at %d skipped", path, part.size_bytes, part.offset)

    def read(
        self, park: str, *, first_day: date | None = None, last_day: date | None = None
    ) -> Iterator[tuple[JournalPlace, Record]]:
        """Return a park's records of some days of receipt (UTC, both included), segment by segment."""
        for segment in self.segments(park):
            if (first_day or date.min) <= segment.day <= (last_day or date.max):
                yield from self.read_segment(park, segment)

    def read_segment(self, park: str, segment: SegmentName) -> Iterator[tuple[JournalPlace, Record]]:
        """Return the records of one segment."""
        for frame in self.frames(park, segment):
            for index, record in enumerate(frame.records()):
                yield JournalPlace(park, str(segment), frame.offset, index), record

    def maybe_newest_ms(self, park: str) -> int | None:
        """Return the latest receipt, UTC milliseconds, of all instances; `None` while there is none."""
        newest_first = sorted(self.segments(park), key=attrgetter("day"), reverse=True)
        for _, segments in groupby(newest_first, key=attrgetter("day")):
            last = {one.instance: one for one in sorted(segments)}  # the highest number of each
            found = [frame.last_ms for one in last.values() for frame in self.frames(park, one)]
            if found:
                return max(found)
        return None

    def maybe_record(self, place: JournalPlace) -> Record | None:
        """Return the record at a place, reading its frame only; `None` when damaged or no longer kept."""
        try:
            with self.path(place.park, place.segment).open("rb") as file:
                file.seek(place.offset)
                start = file.read(FRAME_OVERHEAD_BYTES)
                maybe_size = maybe_frame_bytes(start)
                data = b"" if maybe_size is None else start + file.read(maybe_size - len(start))
        except FileNotFoundError:
            return None
        maybe_frame = maybe_frame_at(data, 0)
        records = () if maybe_frame is None else maybe_frame.records()
        return records[place.index] if place.index < len(records) else None
