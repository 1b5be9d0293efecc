"""Zone use: the golden cases, and what a sum does with what is not there."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.intervals.slots import MISSING, SlotValue
from ingest.intervals.zone_use import Carrier, MeterSlots, SumsOverTime, evaluate, live_signs, sums_at
from metering.park.file import load_park
from metering.park.model import Park
from metering.series import GroupField, IntervalQuality, Level

CASES = Path(__file__).parents[2] / "cases" / "zone_use"
MEASURED = IntervalQuality.MEASURED


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A line of `expected.csv`; `value` is empty where the figure has none."""

    time: str
    level: str
    group: str
    field: str
    value: str
    quality: str
    coverage: str


def to_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def read_slots(path: Path) -> dict[str, dict[str, dict[str, SlotValue]]]:
    slots: dict[str, dict[str, dict[str, SlotValue]]] = defaultdict(lambda: defaultdict(dict))
    with path.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            value = int(row["value"]) if row["value"] else None
            quality = IntervalQuality[row["quality"].upper()]
            slots[row["time"]][row["meter"]][row["quantity"]] = SlotValue(value, quality)
    return slots


def derived(park: Park, slots: dict[str, dict[str, dict[str, SlotValue]]]) -> Iterator[Line]:
    sums = SumsOverTime(park)
    for time, meters in slots.items():
        for group in sums.at(to_ms(time)):
            for one in group.sums:
                maybe_value = evaluate(one, meters)
                if maybe_value is not None:
                    value = "" if maybe_value.value is None else str(maybe_value.value)
                    side = (maybe_value.quality.name.lower(), f"{maybe_value.coverage:g}")
                    yield Line(time, group.level, group.group, one.name, value, *side)


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_golden_cases(case: str) -> None:
    folder = CASES / case
    found = sorted(derived(load_park(folder / "park.yaml"), read_slots(folder / "slots.csv")))
    with (folder / "expected.csv").open(encoding="utf-8") as lines:
        expected = sorted(Line(**row) for row in csv.DictReader(lines))

    listed = {(one.level, one.group) for one in expected}
    assert [one for one in found if (one.level, one.group) in listed] == expected


TREE = """
park: demo
name: Demo
timezone: UTC
zones: {a: {name: A}, b: {name: B}, c: {name: C}}
meters:
  main: {medium: electricity, role: grid, place: a}
  pv: {medium: electricity, role: generation, place: a, fed_by: main}
  cell: {medium: electricity, role: storage, place: b, fed_by: to-b}
  to-b: {medium: electricity, place: b, fed_by: main}
  press: {medium: electricity, place: b, fed_by: to-b}
  to-c: {medium: electricity, place: c, fed_by: to-b}
  plant: {medium: electricity, role: generation, place: c}
  spare: {medium: electricity}
"""
METERS = ("main", "pv", "cell", "to-b", "press", "to-c", "plant")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Park:
    path = tmp_path_factory.mktemp("park") / "park.yaml"
    path.write_text(TREE, encoding="utf-8")
    return load_park(path)


def of(park: Park, level: Level, group: str, name: GroupField, slots: MeterSlots) -> object:
    sums = {(one.level, one.group): one for one in sums_at(park, 0)}
    found = next(one for one in sums[level, group].sums if one.name is name)
    return evaluate(found, slots)


values = st.integers(0, 10**9)
both_ways = st.fixed_dictionaries({meter: st.tuples(values, values) for meter in METERS})


@given(flows=both_ways)
def test_zones_add_up_to_the_park(flows: dict[str, tuple[int, int]], tree: Park) -> None:
    slots = {
        meter: {
            "energy_import_wh": SlotValue(imported, MEASURED),
            "energy_export_wh": SlotValue(exported, MEASURED),
        }
        for meter, (imported, exported) in flows.items()
    }
    use = {
        group.group: value.value
        for group in sums_at(tree, 0)
        for one in group.sums
        if one.name is GroupField.ELECTRICITY_USE and (value := evaluate(one, slots)) is not None
    }

    assert use["demo"] == sum(value or 0 for zone, value in use.items() if zone != "demo")


@given(flows=both_ways)
def test_use_is_import_less_export_and_so_on(flows: dict[str, tuple[int, int]], tree: Park) -> None:
    slots = {
        meter: {
            "energy_import_wh": SlotValue(imported, MEASURED),
            "energy_export_wh": SlotValue(exported, MEASURED),
        }
        for meter, (imported, exported) in flows.items()
    }
    for group in sums_at(tree, 0):
        figures = {
            one.name: value.value or 0 for one in group.sums if (value := evaluate(one, slots)) is not None
        }
        parts = (
            figures[GroupField.ELECTRICITY_IMPORT]
            - figures[GroupField.ELECTRICITY_EXPORT]
            + figures.get(GroupField.ELECTRICITY_GENERATION, 0)
            - figures.get(GroupField.ELECTRICITY_STORAGE_CHARGE, 0)
        )
        assert figures[GroupField.ELECTRICITY_USE] == parts
        assert figures[GroupField.ELECTRICITY_IMPORT] >= 0
        assert figures[GroupField.ELECTRICITY_EXPORT] >= 0


def test_a_missing_input_leaves_no_value_and_tells_by_its_coverage(tree: Park) -> None:
    main = {"energy_import_wh": SlotValue(500, MEASURED), "energy_export_wh": SlotValue(0, MEASURED)}
    slots = {"main": main, "to-b": {"energy_import_wh": MISSING, "energy_export_wh": MISSING}}

    found = of(tree, Level.ZONE, "a", GroupField.ELECTRICITY_USE, slots)

    assert (getattr(found, "value", 0), getattr(found, "coverage", 0)) == (None, 0.5)


def test_a_meter_that_has_not_begun_is_no_part_yet(tree: Park) -> None:
    slots = {"main": {"energy_import_wh": SlotValue(500, MEASURED)}}

    found = of(tree, Level.ZONE, "a", GroupField.ELECTRICITY_USE, slots)

    assert (getattr(found, "value", 0), getattr(found, "coverage", 0)) == (500, 1.0)


def test_a_group_none_of_whose_meters_has_begun_has_no_figure(tree: Park) -> None:
    assert of(tree, Level.ZONE, "b", GroupField.ELECTRICITY_USE, {}) is None


def test_the_sign_of_live_power_is_that_of_import_in_the_use(tree: Park) -> None:
    signs = live_signs(tree, Carrier.ELECTRICITY, 0)

    assert signs[Level.ZONE, "a"] == {"main": 1, "to-b": -1, "pv": -1}
    assert signs[Level.ZONE, "b"] == {"to-b": 1, "to-c": -1, "cell": -1}
    assert signs[Level.ZONE, "c"] == {"to-c": 1}
    assert signs[Level.PARK, "demo"] == {"main": 1, "spare": 1, "pv": -1, "cell": -1}
