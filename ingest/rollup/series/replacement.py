"""New points in the place of old ones.

InfluxDB merges the fields of a point that is written again, so what is no longer there must be deleted. The
order is: the old points into the history, deletions, the new points. If it breaks off, doing all of it again
gives the same points, at worst with a history entry more.

History: a value that is changed goes to `<measurement>_history` as it was, with its quality and coverage,
under the tag `version` (1, 2, … per point), with `reason` and `revised_at` (UTC ms). A value that was not
settled, as a read that came in time could still change it, leaves no history.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ingest.intervals.spans import SlotSpan, runs
from ingest.rollup.series.derived import DerivedDatabase, Points, Tags
from ingest.store.contract import Store
from ingest.store.line_protocol import Field, encode_point
from metering.series import HISTORY_SUFFIX, SLOT_MS, coverage_field, quality_field, rollup_database

#: Lines per body; one of a slot has about 300 bytes.
_MAX_LINES = 5000
_SIDE_SUFFIXES = (quality_field(""), coverage_field(""))


@dataclass(frozen=True, slots=True)
class Counts:
    """What a replacement did."""

    written: int = 0
    revised: int = 0
    deleted: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.written + other.written, self.revised + other.revised, self.deleted + other.deleted
        )


@dataclass(frozen=True, slots=True)
class _Change:
    tags: Tags
    time_ms: int
    before: dict[str, Field]
    after: dict[str, Field]
    is_settled: bool

    @property
    def revised(self) -> dict[str, Field]:
        """Values that were settled and are others now, each with its quality and coverage."""
        names = [
            name
            for name, value in self.before.items()
            if self.is_settled and not name.endswith(_SIDE_SUFFIXES) and self.after.get(name) != value
        ]
        beside = {quality_field(name) for name in names} | {coverage_field(name) for name in names}
        return {name: value for name, value in self.before.items() if name in beside or name in names}

    @property
    def leaves_fields(self) -> bool:
        """Whether writing the new fields would leave old ones behind."""
        return not self.before.keys() <= self.after.keys()


class Replacement:
    """Changes of one measurement, collected and then made."""

    def __init__(self, measurement: str, park: str) -> None:
        self._measurement = measurement
        self._park = park
        self._changes: list[_Change] = []

    def add(self, tags: Tags, before: Points, after: Points, *, settled_ms: int) -> None:
        """Compare a series' points of a span with what they should be.

        Args:
            tags: Without the park.
            before: Points as they are.
            after: Points as they should be.
            settled_ms: Points from here on were not settled.
        """
        for time_ms in sorted(before.keys() | after.keys()):
            old, new = dict(before.get(time_ms, {})), dict(after.get(time_ms, {}))
            if old != new:
                self._changes.append(_Change(tags, time_ms, old, new, time_ms < settled_ms))

    def make(self, store: Store, *, reason: str, now_ms: int) -> Counts:
        """Make the changes.

        Raises:
            StoreError: when the store refuses; all of it may be done again.
        """
        database = rollup_database(self._park)
        revised = [change for change in self._changes if change.revised]
        if revised:
            write_lines(store, database, self._history(store, revised, reason, now_ms))
        left = [change for change in self._changes if change.leaves_fields]
        self._delete(store, database, left)
        write_lines(store, database, (self._line(change) for change in self._changes if change.after))
        return Counts(sum(bool(change.after) for change in self._changes), len(revised), len(left))

    def _line(self, change: _Change) -> bytes:
        tags = sorted((*change.tags, ("park", self._park)))
        return encode_point(self._measurement, tags, change.after, change.time_ms)

    def _history(self, store: Store, revised: Sequence[_Change], reason: str, now_ms: int) -> Iterator[bytes]:
        times_ms = [change.time_ms for change in revised]
        span = SlotSpan(min(times_ms), max(times_ms) + SLOT_MS)
        keys = [key for key, _ in revised[0].tags]
        versions = DerivedDatabase(store, self._park).versions(self._measurement, span, keys=keys)
        for change in revised:
            version = versions.get((change.tags, change.time_ms), 0) + 1
            tags = sorted((*change.tags, ("park", self._park), ("version", str(version))))
            # The store gives whole floats as integers, and the history keeps the types of the original.
            fields = {
                name: value if name.endswith(_SIDE_SUFFIXES[0]) or isinstance(value, str) else float(value)
                for name, value in change.revised.items()
            }
            yield encode_point(
                self._measurement + HISTORY_SUFFIX,
                tags,
                {**fields, "reason": reason, "revised_at": now_ms},
                change.time_ms,
            )

    def _delete(self, store: Store, database: str, left: Sequence[_Change]) -> None:
        for tags in sorted({change.tags for change in left}):
            for span in runs(change.time_ms for change in left if change.tags == tags):
                store.delete(
                    database,
                    self._measurement,
                    tags={**dict(tags), "park": self._park},
                    start_ms=span.start_ms,
                    stop_ms=span.stop_ms,
                )


def write_lines(store: Store, database: str, lines: Iterable[bytes]) -> None:
    """Write lines in bodies that every InfluxDB takes."""
    batch: list[bytes] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _MAX_LINES:
            store.write(database, b"\n".join(batch))
            batch.clear()
    if batch:
        store.write(database, b"\n".join(batch))
