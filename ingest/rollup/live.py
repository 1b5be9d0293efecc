"""`group_live`: what each group draws at this moment.

At each whole 10 s: power (W) and flow (m3/h) by the formula of zone use, on each meter's newest value if it
is *fresh*: not older than two poll periods, at least 30 s. Power is import minus export, so the sign of a
meter's power is that of its import in the use.

Invariants:
- A figure is never a partial sum: there is no `power` or `flow` while an expected meter is not fresh.
- Where all expected meters are added, the sum of the fresh ones stands in `<name>_at_least`: what is missing
  can only raise it, as long as the silent meters do not feed back. Where one is subtracted there is no bound.
- Each point carries how many meters are fresh and expected, and coverage = fresh / expected, so that a group
  whose meters are all silent still has points that show it.
- A missed instant is never made up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ingest.intervals.zone_use import Carrier, live_signs
from ingest.rollup.series.facts import UNKNOWN, Counting
from ingest.rollup.series.raw import TRUE_TIME
from ingest.store.contract import Store
from ingest.store.line_protocol import Field, encode_point
from metering.park.model import Park
from metering.series import (
    GROUP_LIVE,
    LIVE_FLOW,
    LIVE_POWER,
    Level,
    at_least_field,
    coverage_field,
    expected_field,
    fresh_field,
    raw_database,
    rollup_database,
)

_MIN_FRESH_MS = 30_000
#: A meter polled less often than every half hour has no live value.
_MAX_FRESH_MS = 60 * 60 * 1000

#: Field of `group_live`, carrier, and the gauge that it adds up. Flows of gas and water do not mix.
_FIGURES = (
    (LIVE_POWER, Carrier.ELECTRICITY, "active_power_w"),
    (LIVE_FLOW, Carrier.WATER, "flow_m3h"),
)


@dataclass(frozen=True, slots=True)
class Newest:
    """A gauge's newest value and its time, UTC milliseconds."""

    time_ms: int
    value: float


def fresh_ms(counting: Counting) -> int:
    """Return the age up to which a meter's value is live."""
    return min(max(2 * counting.poll_ms, _MIN_FRESH_MS), _MAX_FRESH_MS)


@dataclass(frozen=True, slots=True)
class Figure:
    """A group's power or flow at an instant.

    Attributes:
        value: The figure; `None` while an expected meter is not fresh.
        at_least: Sum of the fresh meters, where only some are fresh and all are added; else `None`.
        fresh: Number of meters with a fresh value.
        expected: Number of meters in the sum.
    """

    value: float | None
    at_least: float | None
    fresh: int
    expected: int

    def fields(self, name: str) -> dict[str, Field]:
        """Return the fields of `group_live`."""
        sums = {name: self.value, at_least_field(name): self.at_least}
        return {
            **{field: one for field, one in sums.items() if one is not None},
            coverage_field(name): self.fresh / self.expected,
            fresh_field(name): self.fresh,
            expected_field(name): self.expected,
        }


def figure(
    signs: Mapping[str, int], newest: Mapping[str, Newest], facts: Mapping[str, Counting], now_ms: int
) -> Figure:
    """Add up a group's meters, given the sign of each in its use."""
    values = [
        sign * newest[meter].value
        for meter, sign in signs.items()
        if meter in newest and now_ms - newest[meter].time_ms <= fresh_ms(facts.get(meter, UNKNOWN))
    ]
    total = float(sum(values))
    if len(values) == len(signs):
        return Figure(total, None, len(values), len(signs))
    is_lower_bound = bool(values) and all(sign > 0 for sign in signs.values())
    return Figure(None, total if is_lower_bound else None, len(values), len(signs))


class LiveFigures:
    """Writes the live figures of one edition of a park."""

    def __init__(self, store: Store, park: Park) -> None:
        self._store = store
        self._park = park
        self._changes_ms = park.relation_changes_ms()
        self._signs: dict[str, Mapping[tuple[Level, str], Mapping[str, int]]] = {}
        self._valid_until_ms = 0
        self._valid_from_ms = 0

    def write(self, facts: Mapping[str, Counting], now_ms: int) -> int:
        """Write the figures of an instant; returns the number of groups.

        Raises:
            StoreError: when the store does not do its part; the instant is then missed.
        """
        self._look_up_signs(now_ms)
        points: dict[tuple[Level, str], dict[str, Field]] = {}
        newest = self._newest(facts, now_ms)
        for name, groups in self._signs.items():
            for group, signs in groups.items():
                found = figure(signs, newest.get(name, {}), facts, now_ms)
                points.setdefault(group, {}).update(found.fields(name))
        lines = b"\n".join(self._lines(points, now_ms))
        if lines:
            self._store.write(rollup_database(self._park.id), lines)
        return len(points)

    def _look_up_signs(self, now_ms: int) -> None:
        if self._valid_from_ms <= now_ms < self._valid_until_ms:
            return
        self._signs = {name: live_signs(self._park, carrier, now_ms) for name, carrier, _ in _FIGURES}
        self._valid_from_ms = max((t for t in self._changes_ms if t <= now_ms), default=0)
        self._valid_until_ms = min((t for t in self._changes_ms if t > now_ms), default=2**62)

    def _newest(self, facts: Mapping[str, Counting], now_ms: int) -> dict[str, dict[str, Newest]]:
        """Ask for the newest gauges of all meters, by field and meter."""
        oldest_ms = now_ms - max((fresh_ms(one) for one in facts.values()), default=_MIN_FRESH_MS)
        queries = [
            f'SELECT last("{gauge}") AS "{name}" FROM "{carrier.medium}"'
            f' WHERE time >= {oldest_ms}ms AND time <= {now_ms}ms AND {TRUE_TIME} GROUP BY "meter"'
            for name, carrier, gauge in _FIGURES
        ]
        found: dict[str, dict[str, Newest]] = {}
        for series in self._store.query(raw_database(self._park.id), "; ".join(queries)):
            time_ms, value = series.rows[0]
            found.setdefault(series.columns[1], {})[series.tags["meter"]] = Newest(time_ms, value)
        return found

    def _lines(self, points: Mapping[tuple[Level, str], Mapping[str, Field]], now_ms: int) -> Iterator[bytes]:
        for (level, group), fields in points.items():
            tags = (("group", group), ("level", str(level)), ("park", self._park.id))
            yield encode_point(GROUP_LIVE, tags, fields, now_ms)
