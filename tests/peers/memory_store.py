"""STAND-IN for InfluxDB: a `Store` in memory that knows the InfluxQL that the rollup asks, and no other.

It keeps the rules that the rollup relies on: a point that is written again is merged by field, a whole float comes
back as `int`, LIMIT counts per series, a row of a query has at least one of the fields asked for, and each
series is sorted by time. A query that it does not know is an error, never an empty answer.
`test_rollup_at_once` runs the same histories on it and on a real InfluxDB.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ingest.store.contract import Series
from ingest.store.errors import StoreDenied, StoreRefused

Tags = tuple[tuple[str, str], ...]
Fields = dict[str, float | int | str]
#: Points by time, per set of tags, per measurement.
Database = dict[str, dict[Tags, dict[int, Fields]]]

_FIELD = re.compile(r'([^=,]+)=("(?:[^"\\]|\\.)*"|[^,]+)(?:,|$)')
_SELECT = re.compile(
    r"SELECT (?P<what>.+?) FROM (?P<names>\"\w+\"(?:, \"\w+\")*)(?: WHERE (?P<where>.+?))?"
    r"(?: GROUP BY (?P<by>.+?))?(?P<fill> fill\(none\))?(?: ORDER BY time (?P<order>ASC|DESC))?(?: LIMIT (?P<limit>\d+))?$"
)
_TIME = re.compile(r"time (>=|<|>) (-?\d+)ms")
_EQUAL = re.compile(r"\"(\w+)\" = '([^']*)'")
_PATTERN = re.compile(r"\"(\w+)\" =~ /(.+)/")
_BIT = re.compile(r"\"(\w+)\" & (\d+) = (\d+)")
_CALL = re.compile(r"(first|last|count)\(\"(\w+)\"\)(?: AS \"(\w+)\")?")


@dataclass(frozen=True, slots=True)
class _Point:
    tags: Mapping[str, str]
    time_ms: int
    fields: Mapping[str, float | int | str]

    def value(self, name: str) -> object:
        """Return a field as JSON would carry it, or a tag."""
        value = self.fields.get(name, self.tags.get(name))
        return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True, slots=True)
class _Condition:
    """One condition of WHERE: on the time, on a tag, or on bits of a field."""

    start_ms: int = -(2**63)
    stop_ms: int = 2**63
    tag: str = ""
    pattern: re.Pattern[str] | None = None
    bits: tuple[str, int, int] | None = None

    def allows_series(self, tags: Mapping[str, str]) -> bool:
        return self.pattern is None or self.pattern.search(tags.get(self.tag, "")) is not None


@dataclass
class MemoryStore:
    """A `Store`; used by one thread."""

    databases: dict[str, Database] = field(default_factory=dict)

    def ensure(self, database: str) -> bool:
        """Create a database."""
        is_new = database not in self.databases
        self.databases.setdefault(database, defaultdict(lambda: defaultdict(dict)))
        return is_new

    def exists(self, database: str) -> bool:
        """Tell whether there is one."""
        return database in self.databases

    def close(self) -> None:
        """Do nothing."""

    def write(self, database: str, lines: bytes) -> None:
        """Write line protocol as `ingest.store.line_protocol` encodes it."""
        found = self._database(database)
        for line in lines.decode().split("\n"):
            head, rest = line.split(" ", 1)
            fields, time_text = rest.rsplit(" ", 1)
            name, *tags = head.split(",")
            key = tuple(sorted((tag.split("=", 1)[0], tag.split("=", 1)[1]) for tag in tags))
            found[name][key].setdefault(int(time_text), {}).update(_fields(fields))

    def delete(
        self, database: str, measurement: str, *, tags: Mapping[str, str], start_ms: int, stop_ms: int
    ) -> None:
        """Delete a span of points."""
        for key, points in self._database(database)[measurement].items():
            if tags.items() <= dict(key).items():
                for time_ms in [t for t in points if start_ms <= t < stop_ms]:
                    del points[time_ms]

    def query(self, database: str, influxql: str, params: Mapping[str, Any] | None = None) -> list[Series]:
        """Answer all statements, in their order."""
        if params:
            raise StoreRefused("this stand-in knows no parameters")
        found = self._database(database)
        return [series for text in influxql.split("; ") for series in self._answer(found, text)]

    def _database(self, name: str) -> Database:
        if name not in self.databases:
            raise StoreDenied(f"database not found: {name}", status=404)
        return self.databases[name]

    def _answer(self, database: Database, text: str) -> Iterator[Series]:
        if text.startswith("SHOW "):
            yield from self._show(database, text)
            return
        maybe_match = _SELECT.fullmatch(text)
        if maybe_match is None:
            raise StoreRefused(f"this stand-in cannot read: {text}")
        for name in _names(maybe_match["names"]):
            yield from _select(database, name, maybe_match)

    def _show(self, database: Database, text: str) -> Iterator[Series]:
        for name in _names(text.split(" FROM ")[1].split(" WITH ", maxsplit=1)[0]):
            series = {tags: points for tags, points in database.get(name, {}).items() if points}
            if not series:
                continue
            if text.startswith("SHOW FIELD KEYS FROM"):
                keys = {key for points in series.values() for fields in points.values() for key in fields}
                yield Series(name, {}, ("fieldKey", "fieldType"), [[key, ""] for key in sorted(keys)])
            elif text.startswith("SHOW TAG VALUES FROM"):
                (key,) = _names(text.split(" WITH KEY = ")[1])
                values = sorted({dict(tags)[key] for tags in series})
                yield Series(name, {}, ("key", "value"), [[key, value] for value in values])
            else:
                raise StoreRefused(f"this stand-in cannot read: {text}")


def _names(text: str) -> list[str]:
    return [part.strip('"') for part in text.split(", ")]


def _fields(text: str) -> Fields:
    found: Fields = {}
    for match in _FIELD.finditer(text):
        name, written = match[1], match[2]
        if written.startswith('"'):
            found[name] = re.sub(r"\\(.)", r"\1", written[1:-1])
        else:
            found[name] = int(written[:-1]) if written.endswith("i") else float(written)
    return found


def _select(database: Database, name: str, match: re.Match[str]) -> Iterator[Series]:
    conditions = [_condition(part) for part in (match["where"] or "").split(" AND ") if part]
    points = list(_matching(database, name, conditions))
    by = match["by"] or ""
    step_ms = int(found[1]) if (found := re.search(r"time\((\d+)ms\)", by)) else None
    keys = (
        sorted({key for point in points for key in point.tags}) if by == "*" else re.findall(r'"(\w+)"', by)
    )
    groups: dict[Tags, list[_Point]] = defaultdict(list)
    for point in points:
        groups[tuple((key, point.tags.get(key, "")) for key in keys)].append(point)
    for tags, some in sorted(groups.items()):
        some.sort(key=lambda point: point.time_ms, reverse=match["order"] == "DESC")
        columns, rows = _rows(match["what"], some, step_ms, set(keys))
        if rows:
            limit = int(match["limit"]) if match["limit"] else None
            yield Series(name, dict(tags), ("time", *columns), rows[:limit])


def _matching(database: Database, name: str, conditions: Sequence[_Condition]) -> Iterator[_Point]:
    start_ms = max((one.start_ms for one in conditions), default=-(2**63))
    stop_ms = min((one.stop_ms for one in conditions), default=2**63)
    bits = [one.bits for one in conditions if one.bits is not None]
    for tags, by_time in database.get(name, {}).items():
        found = dict(tags)
        if all(one.allows_series(found) for one in conditions):
            for time_ms, fields in by_time.items():
                if start_ms <= time_ms < stop_ms and all(_has_bits(fields, *one) for one in bits):
                    yield _Point(found, time_ms, fields)


def _has_bits(fields: Fields, name: str, mask: int, bits: int) -> bool:
    value = fields.get(name)
    return isinstance(value, int) and value & mask == bits


@lru_cache(maxsize=4096)
def _condition(text: str) -> _Condition:
    if match := _TIME.fullmatch(text):
        limit_ms = int(match[2])
        if match[1] == "<":
            return _Condition(stop_ms=limit_ms)
        return _Condition(start_ms=limit_ms if match[1] == ">=" else limit_ms + 1)
    if match := _EQUAL.fullmatch(text):
        return _Condition(tag=match[1], pattern=re.compile(f"^{re.escape(match[2])}$"))
    if match := _PATTERN.fullmatch(text):
        return _Condition(tag=match[1], pattern=re.compile(match[2]))
    if match := _BIT.fullmatch(text):
        return _Condition(bits=(match[1], int(match[2]), int(match[3])))
    raise StoreRefused(f"this stand-in cannot read the condition: {text}")


def _rows(
    what: str, points: Sequence[_Point], step_ms: int | None, keys: set[str]
) -> tuple[Sequence[str], list[list[Any]]]:
    calls = _CALL.findall(what)
    if calls:
        return _called(calls, points, step_ms)
    if what == "*":
        names = sorted({name for point in points for name in (*point.fields, *point.tags)} - keys)
    else:
        names = _names(what)
    rows = [
        [point.time_ms, *(point.value(name) for name in names)]
        for point in points
        if any(name in point.fields for name in names)
    ]
    return names, rows


def _called(
    calls: Sequence[tuple[str, str, str]], points: Sequence[_Point], step_ms: int | None
) -> tuple[Sequence[str], list[list[Any]]]:
    columns = [name or (f"{call}_{i}" if i else call) for i, (call, _, name) in enumerate(calls)]
    if step_ms is not None:
        buckets: dict[int, list[_Point]] = defaultdict(list)
        for point in points:
            buckets[point.time_ms // step_ms * step_ms].append(point)
        rows = [[bucket, *_counts(calls, some)] for bucket, some in sorted(buckets.items())]
        return columns, [row for row in rows if any(row[1:])]
    if all(call == "count" for call, _, _ in calls):
        counts = _counts(calls, points)
        return columns, [[0, *counts]] if any(counts) else []
    ((call, name, _),) = calls
    having = [point for point in points if name in point.fields]
    chosen = [having[0 if call == "first" else -1]] if having else []
    return columns, [[point.time_ms, point.value(name)] for point in chosen]


def _counts(calls: Sequence[tuple[str, str, str]], points: Sequence[_Point]) -> list[int]:
    return [sum(name in point.fields for point in points) for _, name, _ in calls]
