"""The figures of a demo as InfluxDB has them: queried over plain HTTP, independent of the code under test."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metering.quantities import Medium
from metering.series import GROUP_15M, GROUP_LIVE, GroupField, raw_database, rollup_database
from simulators.demo.report import ZoneFigures
from simulators.errors import DemoFailed

_TIMEOUT_S = 60.0
_MEDIA = ", ".join(f'"{medium}"' for medium in Medium)
_USE = GroupField.ELECTRICITY_USE
_WATER = GroupField.WATER_USE
_LIVE_WITHIN = "2m"


@dataclass(frozen=True, slots=True)
class Found:
    """One series of an answer."""

    tags: Mapping[str, str]
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class Figures:
    """Queries to the InfluxDB 1.x that holds a park."""

    def __init__(self, url: str, park: str) -> None:
        self._url = url
        self._raw = raw_database(park)
        self._rollup = rollup_database(park)

    def first_rows_ms(self) -> dict[str, int]:
        """Return the time of each meter's first row."""
        found = self._ask(self._raw, f'SELECT first("quality") FROM {_MEDIA} GROUP BY "meter"')
        return {one.tags["meter"]: int(one.rows[0][0]) for one in found}

    def row_counts(self) -> dict[str, int]:
        """Return how many rows of each meter are stored."""
        found = self._ask(self._raw, f'SELECT count("quality") FROM {_MEDIA} GROUP BY "meter"')
        return {one.tags["meter"]: int(one.rows[0][1]) for one in found}

    def slot_counts(self, from_ms: int, until_ms: int) -> dict[str, tuple[int, int]]:
        """Return how many quarter hours each zone has: of electricity and of water."""
        found = self._zones(f'count("{_USE}"), count("{_WATER}")', from_ms, until_ms)
        return {zone: (int(row[1] or 0), int(row[2] or 0)) for zone, row in found.items()}

    def zones(self, from_ms: int, until_ms: int) -> dict[str, ZoneFigures]:
        """Return the figures of a span, and the live ones, by zone."""
        spans = self._zones(f'sum("{_USE}"), max("{_USE}"), sum("{_WATER}")', from_ms, until_ms)
        live = self._live()
        return {
            zone: ZoneFigures(
                use_kwh=_maybe(spans.get(zone), 1, 1e-3),
                peak_kw=_maybe(spans.get(zone), 2, 4e-3),
                water_m3=_maybe(spans.get(zone), 3, 1e-3),
                power_kw=_maybe(live.get(zone), 1, 1e-3),
                flow_m3h=_maybe(live.get(zone), 2, 1.0),
            )
            for zone in {**spans, **live}
        }

    def _live(self) -> dict[str, Sequence[Any]]:
        query = (
            f'SELECT last("power"), last("flow") FROM "{GROUP_LIVE}" '
            f'WHERE "level" = \'zone\' AND time > now() - {_LIVE_WITHIN} GROUP BY "group"'
        )
        return {one.tags["group"]: one.rows[0] for one in self._ask(self._rollup, query)}

    def _zones(self, what: str, from_ms: int, until_ms: int) -> dict[str, Sequence[Any]]:
        query = (
            f'SELECT {what} FROM "{GROUP_15M}" WHERE "level" = \'zone\' '
            f'AND time >= {from_ms}ms AND time < {until_ms}ms GROUP BY "group"'
        )
        return {one.tags["group"]: one.rows[0] for one in self._ask(self._rollup, query)}

    def _ask(self, database: str, query: str) -> list[Found]:
        asked = urllib.parse.urlencode({"db": database, "q": query, "epoch": "ms"})
        try:
            with urllib.request.urlopen(f"{self._url}/query?{asked}", timeout=_TIMEOUT_S) as answer:  # noqa: S310 - our own server
                result = json.load(answer)["results"][0]
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise DemoFailed(f"InfluxDB does not answer {query!r}: {error}") from error
        if "error" in result:
            raise DemoFailed(f"InfluxDB refuses {query!r}: {result['error']}")
        return [
            Found(one.get("tags", {}), tuple(one["columns"]), one["values"])
            for one in result.get("series", [])
        ]


def _maybe(row: Sequence[Any] | None, column: int, factor: float) -> float | None:
    if row is None or row[column] is None:
        return None
    return float(row[column]) * factor
