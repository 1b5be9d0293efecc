"""Reads a park's raw database: which meters there are, their counters' reads, and what came late.

Rows whose clock was not known to be right give an order and no time: they are skipped everywhere.
Queries name meters by a pattern of ids, which hold only lower-case letters, digits and hyphens.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ingest.intervals.counters import Read
from ingest.intervals.spans import SlotSpan
from ingest.store.contract import Series, Store
from metering.park.model import Park
from metering.quantities import Medium
from metering.readings import ReadingFlag
from metering.series import LATE, QUALITY, SLOT_MS, raw_database

#: Reads by meter and quantity, in no particular order.
Reads = dict[str, dict[str, list[Read]]]

#: Rows whose time is no truth are left out.
_BIT = ReadingFlag.CLOCK_UNSYNCHRONISED.value
TRUE_TIME = f'"{QUALITY}" & {_BIT} = 0'
_FALSE_TIME = f'"{QUALITY}" & {_BIT} = {_BIT}'
_MEDIA = ", ".join(f'"{medium}"' for medium in Medium)


@dataclass(frozen=True, slots=True)
class StoredMeters:
    """What the raw database holds: the medium of each meter and the counters of each medium."""

    media: Mapping[str, Medium]
    counters: Mapping[Medium, tuple[str, ...]]

    @property
    def meters(self) -> Mapping[str, Medium]:
        """Meters that can count."""
        return {meter: medium for meter, medium in self.media.items() if self.counters.get(medium)}


@dataclass(frozen=True, slots=True)
class LateNotice:
    """Ingest's word that a meter's rows of a time came late."""

    meter: str
    instance: str
    time_ms: int
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A place to look for the nearest reads of a counter.

    Attributes:
        at_ms: Reads strictly before or after this time are wanted.
        count: How many reads are wanted.
    """

    meter: str
    quantity: str
    at_ms: int
    is_before: bool
    count: int = 1


class RawDatabase:
    """A park's readings; every method raises `StoreError` when the store cannot be read."""

    def __init__(self, store: Store, park: Park) -> None:
        self._store = store
        self._database = raw_database(park.id)
        self._quantities = park.quantities
        self._media = {meter: facts.medium for meter, facts in park.meters.items()}

    def catalogue(self) -> StoredMeters:
        """Ask what there is."""
        fields = self._store.query(self._database, f"SHOW FIELD KEYS FROM {_MEDIA}")
        meters = self._store.query(self._database, f'SHOW TAG VALUES FROM {_MEDIA} WITH KEY = "meter"')
        return StoredMeters(
            media=self._chosen((row[-1], Medium(series.name)) for series in meters for row in series.rows),
            counters={Medium(one.name): self._counters(row[0] for row in one.rows) for one in fields},
        )

    def _chosen(self, pairs: Iterable[tuple[str, Medium]]) -> dict[str, Medium]:
        """Return each meter one medium: the park's, where a wrong set-up has once brought another."""
        media: dict[str, Medium] = {}
        for meter, medium in pairs:
            if meter not in media or medium is self._media.get(meter):
                media[meter] = medium
        return media

    def _counters(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self._quantities and self._quantities[name].is_counter)

    def reads(
        self, medium: Medium, quantities: Sequence[str], meters: Iterable[str], *, start_ms: int, stop_ms: int
    ) -> Reads:
        """Read counters of meters of one medium, `start_ms` included, `stop_ms` excluded."""
        found: Reads = defaultdict(lambda: defaultdict(list))
        columns = ", ".join(f'"{quantity}"' for quantity in quantities)
        query = (
            f'SELECT {columns} FROM "{medium}" WHERE "meter" =~ /^({"|".join(meters)})$/'
            f' AND time >= {start_ms}ms AND time < {stop_ms}ms AND {TRUE_TIME} GROUP BY "meter"'
        )
        for series in self._store.query(self._database, query):
            _collect(found[series.tags["meter"]], series)
        return found

    def add_edges(self, found: Reads, medium: Medium, edges: Sequence[Edge]) -> None:
        """Add the reads nearest to each edge, each counter for itself."""
        if not edges:
            return
        for series in self._store.query(self._database, "; ".join(_edge_query(medium, one) for one in edges)):
            _collect(found[series.tags["meter"]], series)

    def row_times(
        self, medium: Medium, quantities: Sequence[str], edges: Sequence[Edge]
    ) -> dict[str, list[int]]:
        """Return the times of the nearest rows with any of the quantities, by meter; an edge may name one."""
        columns = ", ".join(f'"{quantity}"' for quantity in quantities)
        queries = [_edge_query(medium, one, columns="" if one.quantity else columns) for one in edges]
        found: dict[str, list[int]] = defaultdict(list)
        for series in self._store.query(self._database, "; ".join(queries)) if queries else ():
            found[series.tags["meter"]] += [row[0] for row in series.rows]
        return found

    def counters_within(
        self, medium: Medium, quantities: Sequence[str], spans_ms: Mapping[str, tuple[int, int]]
    ) -> dict[str, set[str]]:
        """Return which of the quantities were read within each meter's span, both ends included."""
        columns = ", ".join(f'count("{quantity}")' for quantity in quantities)
        queries = [
            f"""SELECT {columns} FROM "{medium}" WHERE "meter" = '{meter}'"""
            f' AND time >= {from_ms}ms AND time < {to_ms + 1}ms AND {TRUE_TIME} GROUP BY "meter"'
            for meter, (from_ms, to_ms) in spans_ms.items()
        ]
        return {
            series.tags["meter"]: {
                name for name, count in zip(quantities, series.rows[0][1:], strict=True) if count
            }
            for series in (self._store.query(self._database, "; ".join(queries)) if queries else ())
        }

    def first_reads(self, catalogue: StoredMeters) -> dict[str, dict[str, int]]:
        """Return the time of the first read of each counter, by meter; a counter never read has none."""
        queries = [
            f'SELECT first("{quantity}") AS "{quantity}" FROM "{medium}" WHERE {TRUE_TIME} GROUP BY "meter"'
            for medium, quantities in catalogue.counters.items()
            for quantity in quantities
        ]
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for series in self._store.query(self._database, "; ".join(queries)) if queries else ():
            meter = series.tags["meter"]
            if series.name == catalogue.media.get(meter):
                found[meter][series.columns[1]] = series.rows[0][0]
        return found

    def highest_quarter_hours(
        self, medium: Medium, meter: str, quantity: str, span: SlotSpan, *, count: int
    ) -> tuple[list[float], int]:
        """Return the highest rises of a counter within a quarter-hour, as read, and of how many they are.

        A gap counts by its mean, a fall not at all.
        """
        rises = (
            f'SELECT non_negative_derivative(last("{quantity}"), {SLOT_MS}ms) AS "rise" FROM "{medium}"'
            f""" WHERE "meter" = '{meter}' AND time >= {span.start_ms}ms AND time < {span.stop_ms}ms"""
            f" AND {TRUE_TIME} GROUP BY time({SLOT_MS}ms) fill(none)"
        )
        query = f'SELECT top("rise", {count}) FROM ({rises}); SELECT count("rise") FROM ({rises})'
        found = self._store.query(self._database, query)
        if len(found) != 2:  # noqa: PLR2004 - one answer each, none where there are no reads
            return [], 0
        highest, counted = found
        return sorted((float(row[1]) for row in highest.rows), reverse=True), int(counted.rows[0][1])

    def present(self, meters: Mapping[str, Medium], span: SlotSpan) -> dict[int, set[str]]:
        """Give, by start of slot, which of some meters have rows in it."""
        found: dict[int, set[str]] = defaultdict(set)
        if not meters:
            return found
        media = ", ".join(f'"{medium}"' for medium in sorted(set(meters.values())))
        query = (
            f'SELECT count("{QUALITY}") FROM {media} WHERE "meter" =~ /^({"|".join(sorted(meters))})$/'
            f" AND time >= {span.start_ms}ms AND time < {span.stop_ms}ms AND {TRUE_TIME}"
            f' GROUP BY time({SLOT_MS}ms), "meter" fill(none)'
        )
        for series in self._store.query(self._database, query):
            for row in series.rows:
                found[row[0]].add(series.tags["meter"])
        return found

    def without_time(self, *, since_ms: int, spans_ms: Mapping[str, tuple[int, int]]) -> set[str]:
        """Return the meters with rows of an unsynchronised clock since an instant, or in a span of theirs."""
        places = [f"time >= {since_ms}ms"]
        places += [
            f"\"meter\" = '{meter}' AND time >= {from_ms}ms AND time < {to_ms + 1}ms"
            for meter, (from_ms, to_ms) in spans_ms.items()
        ]
        queries = [
            f'SELECT count("{QUALITY}") FROM {_MEDIA} WHERE {place} AND {_FALSE_TIME} GROUP BY "meter"'
            for place in places
        ]
        return {series.tags["meter"] for series in self._store.query(self._database, "; ".join(queries))}

    def late(self, *, since_ms: int) -> list[LateNotice]:
        """Return the notices of late rows written since an instant."""
        query = (
            f'SELECT "from_ms", "to_ms" FROM "{LATE}" WHERE time >= {since_ms}ms GROUP BY "meter", "instance"'
        )
        return [
            LateNotice(series.tags["meter"], series.tags["instance"], *row)
            for series in self._store.query(self._database, query)
            for row in series.rows
        ]


def _edge_query(medium: Medium, one: Edge, *, columns: str = "") -> str:
    comparison, order = ("<", "DESC") if one.is_before else (">", "ASC")
    return (
        f"""SELECT {columns or f'"{one.quantity}"'} FROM "{medium}" WHERE "meter" = '{one.meter}'"""
        f" AND time {comparison} {one.at_ms}ms AND {TRUE_TIME}"
        f' GROUP BY "meter" ORDER BY time {order} LIMIT {one.count}'
    )


def _collect(reads: dict[str, list[Read]], series: Series) -> None:
    """Take the reads of a series; counters are whole numbers, stored as floats."""
    for position, quantity in enumerate(series.columns[1:], 1):
        reads[quantity] += [(row[0], int(row[position])) for row in series.rows if row[position] is not None]
