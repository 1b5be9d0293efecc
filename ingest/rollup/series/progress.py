"""How far the rollup of a park is, kept in the derived database, so that a new process continues from there.

Invariants, whatever fails or is killed:
- A meter's `next_ms` moves only after every slot before it was published: the slots of a meter have no hole.
- Spans of slots that are changed after groups were derived from them are written down as *owed* before the
  change, and taken away after the groups were derived again.
- `noticed_ms` moves only after all late rows noticed before it were dealt with, groups included.

Doing again what was done already changes nothing, so what is kept may be older than the truth, never newer.

All of it is one point per meter and one of the park, written again and again at the same time (the beginning
of 1970). A database without them, of version 0.1, is derived anew from all raw readings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ingest.intervals.spans import SlotSpan
from ingest.rollup.series.replacement import write_lines
from ingest.store.contract import Series, Store
from ingest.store.line_protocol import Field, encode_point
from metering.series import ROLLUP_PROGRESS, rollup_database

#: More owed spans than this are kept as one that covers them all: a string field holds 64 KB.
_MAX_OWED = 500
_AT_MS = 0


@dataclass(frozen=True, slots=True)
class Asleep:
    """A counter that was not read for a day while others of its meter were.

    Attributes:
        resume_ms: Slots from here on may change once it is read again.
        latest_ms: Time of its last read.
    """

    resume_ms: int
    latest_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a meter's slots go.

    Attributes:
        next_ms: Start of the first slot that is not published.
        resume_ms: Slots from here on may still change by what is read next.
        latest_ms: Time of the newest read taken into account; `None` = not known.
        asleep: Counters that hold nothing back.
    """

    next_ms: int
    resume_ms: int
    latest_ms: int | None = None
    asleep: Mapping[str, Asleep] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParkProgress:
    """How far a park's groups go.

    Attributes:
        grouped_ms: Boundary before which the groups were derived; `None` = none were.
        noticed_ms: Late rows noticed before this time were dealt with; `None` = not known.
        owed: Meters' slots that may have changed since the groups were derived from them.
    """

    grouped_ms: int | None = None
    noticed_ms: int | None = None
    owed: tuple[SlotSpan, ...] = ()


class ProgressBook:
    """What is kept; every method raises `StoreError` when the store does not do its part."""

    def __init__(self, store: Store, park: str) -> None:
        self._store = store
        self._park = park
        self._database = rollup_database(park)

    def read(self) -> tuple[dict[str, Progress], ParkProgress]:
        """Return what a former process has kept, by meter and of the park."""
        meters: dict[str, Progress] = {}
        park = ParkProgress()
        for series in self._store.query(
            self._database, f'SELECT * FROM "{ROLLUP_PROGRESS}" GROUP BY "meter"'
        ):
            point = _newest(series)
            if series.tags["meter"]:
                meters[series.tags["meter"]] = _progress(point)
            else:
                park = _park_progress(point)
        return meters, park

    def write_meters(self, progress: Mapping[str, Progress]) -> None:
        """Keep how far some meters are."""
        write_lines(self._store, self._database, self._meter_lines(progress))

    def _meter_lines(self, progress: Mapping[str, Progress]) -> Iterator[bytes]:
        for meter, one in progress.items():
            asleep = {name: (some.resume_ms, some.latest_ms) for name, some in one.asleep.items()}
            fields: dict[str, Field] = {
                "next_ms": one.next_ms,
                "resume_ms": one.resume_ms,
                "asleep": orjson.dumps(asleep).decode(),
            }
            tags = (("meter", meter), ("park", self._park))
            yield encode_point(ROLLUP_PROGRESS, tags, fields, _AT_MS)

    def write_park(self, progress: ParkProgress) -> None:
        """Keep how far the park is."""
        fields = {
            "grouped_ms": progress.grouped_ms,
            "noticed_ms": progress.noticed_ms,
            "owed": orjson.dumps([(span.start_ms, span.stop_ms) for span in _few(progress.owed)]).decode(),
        }
        line = encode_point(ROLLUP_PROGRESS, (("park", self._park),), fields, _AT_MS)
        self._store.write(self._database, line)


def _few(owed: Sequence[SlotSpan]) -> Sequence[SlotSpan]:
    return owed if len(owed) <= _MAX_OWED else (SlotSpan(owed[0].start_ms, owed[-1].stop_ms),)


def _newest(series: Series) -> Mapping[str, Any]:
    return dict(zip(series.columns, series.rows[-1], strict=True))


def _progress(point: Mapping[str, Any]) -> Progress:
    asleep = {name: Asleep(*times_ms) for name, times_ms in orjson.loads(point["asleep"]).items()}
    return Progress(point["next_ms"], point["resume_ms"], asleep=asleep)


def _park_progress(point: Mapping[str, Any]) -> ParkProgress:
    owed = tuple(SlotSpan(*ends_ms) for ends_ms in orjson.loads(point["owed"]))
    return ParkProgress(point.get("grouped_ms"), point.get("noticed_ms"), owed)
