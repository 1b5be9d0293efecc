"""Reads what was published: slots of meters and groups, and how far they go."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingest.intervals import SlotValue
from ingest.line import Field
from ingest.rollup.spans import Span
from ingest.store import Series, Store
from metering.series import (
    GROUP_15M,
    HISTORY_SUFFIX,
    METER_15M,
    PARK_EDITION,
    SLOT_MS,
    IntervalQuality,
    Level,
    quality_field,
    rollup_database,
)

#: Tags of a series, sorted by key.
Tags = tuple[tuple[str, str], ...]
#: Points of a series by time; fields that are not there have no key.
Points = Mapping[int, Mapping[str, Field]]

_QUALITY_SUFFIX = quality_field("")


@dataclass(frozen=True, slots=True)
class Published:
    """How far a meter's slots go, as the store tells it.

    Attributes:
        last_ms: Start of the last slot, with or without a value.
        whole_ms: Start of the last slot up to which all its counters have values; `None` = never.
        partly_ms: Start of the last slot in which one of them has a value; `None` = never.
    """

    last_ms: int
    whole_ms: int | None
    partly_ms: int | None


class DerivedDatabase:
    """A park's derived series; every method raises `StoreError` when the store cannot say."""

    def __init__(self, store: Store, park: str) -> None:
        self._store = store
        self._database = rollup_database(park)

    def published(self) -> dict[str, Published]:
        """Give how far each meter's slots go."""
        names = self._field_names(METER_15M)
        quantities = [name.removesuffix(_QUALITY_SUFFIX) for name in names if name.endswith(_QUALITY_SUFFIX)]
        if not quantities:
            return {}
        last = self._last_times([quality_field(quantity) for quantity in quantities])
        valued = self._last_times(quantities)
        return {
            meter: Published(
                max(times),
                min(valued[meter]) if len(valued[meter]) == len(times) else None,
                max(valued[meter], default=None),
            )
            for meter, times in last.items()
        }

    def _field_names(self, measurement: str) -> list[str]:
        found = self._store.query(self._database, f'SHOW FIELD KEYS FROM "{measurement}"')
        return [row[0] for series in found for row in series.rows]

    def _last_times(self, fields: Iterable[str]) -> dict[str, list[int]]:
        """Give, per meter, the time of the last value of each field that it has."""
        queries = [f'SELECT last("{field}") FROM "{METER_15M}" GROUP BY "meter"' for field in fields]
        found: dict[str, list[int]] = defaultdict(list)
        for series in self._store.query(self._database, "; ".join(queries)):
            found[series.tags["meter"]].append(series.rows[0][0])
        return found

    def maybe_first_ms(self) -> int | None:
        """Give the start of the first slot of any meter."""
        found = self._store.query(self._database, f'SELECT * FROM "{METER_15M}" ORDER BY time ASC LIMIT 1')
        return found[0].rows[0][0] if found else None

    def maybe_last_group_ms(self) -> int | None:
        """Give the start of the last slot of the park as a whole."""
        query = f'SELECT * FROM "{GROUP_15M}" WHERE "level" = \'{Level.PARK}\' ORDER BY time DESC LIMIT 1'
        found = self._store.query(self._database, query)
        return found[0].rows[0][0] if found else None

    def maybe_edition(self) -> str | None:
        """Give the fingerprint of the park description by which groups were last derived."""
        found = self._store.query(self._database, f'SELECT last("fingerprint") FROM "{PARK_EDITION}"')
        return str(found[0].rows[0][1]) if found else None

    def points(
        self, measurement: str, span: Span, *, keys: Sequence[str], meters: Iterable[str] = ()
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

    def versions(self, measurement: str, span: Span, *, keys: Sequence[str]) -> dict[tuple[Tags, int], int]:
        """Give the highest version in the history of each point of a span."""
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

    def meter_slots(self, span: Span) -> dict[int, dict[str, dict[str, SlotValue]]]:
        """Read all meters' slots of a span: by start, meter and quantity."""
        found: dict[int, dict[str, dict[str, SlotValue]]] = {slot_ms: {} for slot_ms in span.slots}
        for tags, points in self.points(METER_15M, span, keys=("meter",)).items():
            meter = tags[0][1]
            for slot_ms, fields in points.items():
                if slot_ms % SLOT_MS == 0:
                    found[slot_ms][meter] = dict(_slot_values(fields))
        return found


def _points(series: Series) -> Iterator[tuple[int, dict[str, Field]]]:
    """Give the fields that each point has; tags that were not grouped by come as columns of text."""
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
