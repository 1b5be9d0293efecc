"""A small park on a real InfluxDB for tests of the rollup: writes raw rows, reads derived points."""

import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.rollup.job import Cycle, Rollup
from ingest.store.contract import Store
from ingest.store.influx import open_store
from ingest.store.line_protocol import encode_point
from ingest.store.settings import Flavour, StoreConfig
from ingest.validation.announcements import Announcement, encode_announcement
from metering.messages.birth import CounterFacts, MeterFacts
from metering.park.file import load_park
from metering.park.model import Park
from metering.quantities import Medium
from metering.series import SLOT_MS, raw_database, rollup_database
from simulators.demo.servers import Influx

#: A boundary of slots: 2026-03-01 00:00 UTC.
T0 = 1_772_323_200_000
MINUTE = 60_000
HOUR = 60 * MINUTE

_NUMBERS = itertools.count(1)

PARK_YAML = """
park: {park}
name: Test park
timezone: Europe/Ljubljana
zones:
  north: {{name: North}}
  south: {{name: South}}
tenants:
  mill: {{name: Mill}}
meters:
  main: {{medium: electricity, role: grid, place: north}}
  pv: {{medium: electricity, role: generation, place: north, fed_by: main}}
  press: {{medium: electricity, place: {press}, fed_by: main, tenant: mill}}
  well: {{medium: water, place: south}}
"""


@dataclass
class SmallPark:
    """A park with databases of its own on a server."""

    folder: Path
    store: Store
    name: str
    park: Park

    def edit(self, *, press: str) -> Park:
        """Write the description with another place of the press, and read it."""
        return self.describe(PARK_YAML.format(park=self.name, press=press))

    def describe(self, text: str) -> Park:
        """Write the description, and read it."""
        path = self.folder / f"{self.name}.yaml"
        path.write_text(text, encoding="utf-8")
        self.park = load_park(path)
        return self.park

    def announce(self, meter: str, medium: Medium, *counters: str, poll_s: float = 60) -> None:
        """Store what the first birth says of a meter."""
        facts = MeterFacts("m", "p", medium, poll_s, counters={q: CounterFacts(1, None) for q in counters})
        self.announce_facts(meter, facts)

    def announce_facts(self, meter: str, facts: MeterFacts, *, at_ms: int = 0, gateway: str = "gw-1") -> None:
        """Store what a birth `at_ms` after `T0` says of a meter."""
        one = Announcement(gateway, meter, T0 + at_ms, facts, is_first=not at_ms)
        self.store.write(raw_database(self.name), encode_announcement(self.name, one))

    def write(self, medium: str, meter: str, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Store rows; times in ms after `T0`."""
        tags = (("meter", meter), ("park", self.name))
        lines = [encode_point(medium, tags, {"quality": 0, **values}, T0 + t) for t, values in rows]
        for start in range(0, len(lines), 5000):
            self.store.write(raw_database(self.name), b"\n".join(lines[start : start + 5000]))

    def notice(self, meter: str, *, from_ms: int, to_ms: int, at_ms: int) -> None:
        """Store a notice of late rows, as ingest's writer does."""
        tags = (("instance", "1"), ("meter", meter), ("park", self.name))
        fields = {"from_ms": T0 + from_ms, "to_ms": T0 + to_ms}
        self.store.write(raw_database(self.name), encode_point("late", tags, fields, T0 + at_ms))

    def raw_rows(self, medium: str) -> dict[str, list[tuple[int, dict[str, Any]]]]:
        """Return the rows of a medium by meter, as `write` takes them."""
        found = self.store.query(raw_database(self.name), f'SELECT * FROM "{medium}" GROUP BY "meter"')
        return {
            one.tags["meter"]: [
                (
                    row[0] - T0,
                    {
                        name: value if name == "quality" else float(value)
                        for name, value in zip(one.columns[1:], row[1:], strict=True)
                        if value is not None and name != "park"
                    },
                )
                for row in one.rows
            ]
            for one in found
        }

    def once(self, at_ms: int) -> Cycle:
        """Run a new process's rollup of all there is, `at_ms` after `T0`."""
        return Rollup(self.store, self.park).cycle(T0 + at_ms, is_patient=False)

    def points(self, measurement: str, **tags: str) -> dict[int, dict[str, Any]]:
        """Return the points of a series by slot number after `T0`."""
        where = " AND ".join(f"\"{key}\" = '{value}'" for key, value in tags.items())
        found = self.store.query(rollup_database(self.name), f'SELECT * FROM "{measurement}" WHERE {where}')
        return {
            (row[0] - T0) // SLOT_MS: {
                name: value for name, value in zip(one.columns, row, strict=True) if value is not None
            }
            for one in found
            for row in one.rows
        }

    def values(self, quantity: str, measurement: str = "meter_15m", **tags: str) -> dict[int, float | None]:
        """Return one field of a series by slot number."""
        return {slot: point.get(quantity) for slot, point in self.points(measurement, **tags).items()}


def small_park(folder: Path, influx: Influx) -> SmallPark:
    """Make a park with empty databases."""
    return small_park_in(open_store(StoreConfig(flavour=Flavour.ONE, url=influx.url)), folder)


def small_park_in(store: Store, folder: Path) -> SmallPark:
    """Make a park with empty databases in a store."""
    # The process id, because a server that a person named has the parks of earlier runs.
    name = f"rollup-{os.getpid()}-{next(_NUMBERS)}"
    for database in (raw_database(name), rollup_database(name)):
        store.ensure(database)
    path = folder / f"{name}.yaml"
    path.write_text(PARK_YAML.format(park=name, press="south"), encoding="utf-8")
    return SmallPark(folder, store, name, load_park(path))
