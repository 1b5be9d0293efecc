"""Reads what was published: slots of meters and groups."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ingest.intervals.slots import SlotValue
from ingest.intervals.spans import SlotSpan
from ingest.store.contract import Series, Store
from ingest.store.line_protocol import Field
from metering.series import (
    HISTORY_SUFFIX,
    METER_15M,
    PARK_EDITION,
    SLOT_MS,
    IntervalQuality,
    quality_field,
    rollup_database,
)

#: Tags of a series, sorted by key.
Tags = tuple[tuple[str, str], ...]
#: Points of a series by time; fields that are not there have no key.
Points = Mapping[int, Mapping[str, Field]]

_QUALITY_SUFFIX = quality_field("")


class DerivedDatabase:
    """A park's derived series; every method raises `StoreError` when the store cannot be read."""

    def __init__(self, store: Store, park: str) -> None:
        self._store = store
        self._database = rollup_database(park)

    def maybe_first_ms(self) -> int | None:
        """Return the start of the first slot of any meter."""
        found = self._store.query(self._database, f'SELECT * FROM "{METER_15M}" ORDER BY time ASC LIMIT 1')
        return found[0].rows[0][0] if found else None

    def maybe_edition(self) -> str | None:
        """Return the fingerprint of the park description by which groups were last derived."""
        found = self._store.query(self._database, f'SELECT last("fingerprint") FROM "{PARK_EDITION}"')
        return str(found[0].rows[0][1]) if found else None

    def points(
        self, measurement: str, span: SlotSpan, *, keys: Sequence[str], meters: Iterable[str] = ()
    ) -> dict[Tags, dict[int, dict[str, Field]]]:
        """Read the points of a span by their tags `keys`; of some meters, or of all series."""
        listed = "|".join(meters)
        condition = f'"meter" =~ /^({listed})$/ AND ' if listed else ""
        grouping = ", ".join(f'"{key}"' for key in keys)
        query = (
            f'SELECT * FROM "{measurement}" WHERE {condition}time >= {span.start_ms}ms'
            f" AND time < {span.stop_ms}ms GROUP BY {grouping}"
        )
        return {
            tuple(sorted((key, series.tags[key]) for key in keys)): dict(_points(series))
            for series in self._store.query(self._database, query)
        }

    def versions(
        self, measurement: str, span: SlotSpan, *, keys: Sequence[str]
    ) -> dict[tuple[Tags, int], int]:
        """Return the highest version in the history of each point of a span."""
        grouping = ", ".join(f'"{key}"' for key in (*keys, "version"))
        query = (
            f'SELECT "revised_at" FROM "{measurement}{HISTORY_SUFFIX}" WHERE time >= {span.start_ms}ms'
            f" AND time < {span.stop_ms}ms GROUP BY {grouping}"
        )
        found: dict[tuple[Tags, int], int] = {}
        for series in self._store.query(self._database, query):
            tags = tuple(sorted((key, series.tags[key]) for key in keys))
            for row in series.rows:
                found[tags, row[0]] = max(int(series.tags["version"]), found.get((tags, row[0]), 0))
        return found

    def meter_slots(self, span: SlotSpan) -> dict[int, dict[str, dict[str, SlotValue]]]:
        """Read all meters' slots of a span: by start, meter and quantity."""
        found: dict[int, dict[str, dict[str, SlotValue]]] = {slot_ms: {} for slot_ms in span.slots}
        for tags, points in self.points(METER_15M, span, keys=("meter",)).items():
            meter = tags[0][1]
            for slot_ms, fields in points.items():
                if slot_ms % SLOT_MS == 0:
                    found[slot_ms][meter] = dict(_slot_values(fields))
        return found


def _points(series: Series) -> Iterator[tuple[int, dict[str, Field]]]:
    """Return the fields that each point has; tags that were not grouped by come as columns of text."""
    names = series.columns[1:]
    keep = [name not in ("park", "meter", "level", "group") for name in names]
    for row in series.rows:
        yield (
            row[0],
            {
                name: value
                for name, value, is_field in zip(names, row[1:], keep, strict=True)
                if is_field and value is not None
            },
        )


def _slot_values(fields: Mapping[str, Field]) -> Iterator[tuple[str, SlotValue]]:
    for name, value in fields.items():
        if name.endswith(_QUALITY_SUFFIX):
            quantity = name.removesuffix(_QUALITY_SUFFIX)
            maybe_value = fields.get(quantity)
            yield (
                quantity,
                SlotValue(None if maybe_value is None else int(maybe_value), IntervalQuality(int(value))),
            )
