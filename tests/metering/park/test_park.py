"""The park description: relations in time, and every problem with its place."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from metering.errors import ConfigError
from metering.park.dated import Dated, Span, always, in_order
from metering.park.file import load_park, load_parks
from metering.park.model import Place, Role
from metering.quantities import VOCABULARY, Quantity
from metering.series import Level

GOOD = """
park: demo
name: Demo park
timezone: Europe/Ljubljana
zones:
  north: {name: North, area_m2: 12000}
  south: {name: South}
buildings:
  hall: {name: Hall, zone: north}
tenants:
  mill: {name: The mill}
quantities:
  pressure_bar: {unit: bar, kind: gauge, media: [water], low: 0, high: 40}
meters:
  main: {medium: electricity, role: grid, place: north}
  press:
    medium: electricity
    tenant: mill
    gateway: gw-1
    fed_by: main
    place:
      - {zone: north, building: hall, valid_to: 2026-03-29}
      - {zone: south, valid_from: 2026-03-29, source: lease}
"""


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def write(folder: Path, text: str, name: str = "park.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_park(path)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def test_a_meter_moves_at_local_midnight(tmp_path: Path) -> None:
    press = load_park(write(tmp_path, GOOD)).meters["press"]

    assert press.place.maybe_at(ms("2026-03-28T22:59:59")) == Place("north", "hall")
    assert press.place.maybe_at(ms("2026-03-28T23:00:00")) == Place("south")


def test_members_follow_the_dates(tmp_path: Path) -> None:
    park = load_park(write(tmp_path, GOOD))
    before, after = ms("2026-01-01"), ms("2026-05-01")

    assert [m.id for m in park.members(Level.ZONE, "north", before)] == ["main", "press"]
    assert [m.id for m in park.members(Level.ZONE, "north", after)] == ["main"]
    assert [m.id for m in park.members(Level.PARK, "demo", after)] == ["main", "press"]
    assert [m.id for m in park.members(Level.BUILDING, "hall", before)] == ["press"]
    assert [m.id for m in park.members(Level.TENANT, "mill", after)] == ["press"]
    assert park.relation_changes_ms() == (ms("2026-03-28T23:00:00"),)


def test_roles_quantities_and_attributes(tmp_path: Path) -> None:
    park = load_park(write(tmp_path, GOOD))

    assert (park.meters["main"].role, park.meters["press"].role) == (Role.GRID, Role.USE)
    assert park.quantities["pressure_bar"].is_plausible(3.5)
    assert park.zones["north"].attributes["area_m2"].maybe_at(0) == 12000
    assert park.zones["south"].attributes["area_m2"].maybe_at(0) is None


def test_past_its_end_a_relation_has_no_value() -> None:
    relation = in_order([Span("b", 20, 30), Span("a", 0, 10)])

    assert [relation.maybe_at(t) for t in (-1, 0, 9, 10, 20, 30)] == [None, "a", "a", None, "b", None]
    assert always("x").maybe_at(0) == "x"
    assert list(relation.changes_ms()) == [0, 10, 20, 30]


def test_overlapping_spans_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="overlap"):
        Dated((Span("a", 0, 10), Span("b", 9, 20)))


def test_all_problems_come_at_once_with_their_places(tmp_path: Path) -> None:
    text = (
        GOOD.replace("timezone: Europe/Ljubljana", "timezone: Europe/Ljubljana\nzoness: 1")
        .replace("place: north}", "place: nort}")
        .replace("tenant: mill", "tenant: mil")
        .replace("fed_by: main", "fed_by: press")
        .replace("zone: south, valid_from: 2026-03-29", "zone: south, valid_from: 2026-03-01")
    )

    assert problems(tmp_path, text) == [
        "5:1: unknown key 'zoness'; did you mean 'zones'?",
        "16:50: unknown zone 'nort'; did you mean 'north'?",
        "19:13: unknown tenant 'mil'; did you mean 'mill'?",
        "21:13: 'press' is fed by itself, directly or over others",
        "23:7: spans of time do not fit: 'place' and 'place' overlap",
    ]


def test_wrong_values_and_what_only_the_whole_tells_come_in_one_round(tmp_path: Path) -> None:
    text = (
        GOOD.replace("name: Demo park", "name: 5")
        .replace("medium: electricity, role", "medium: electricty, role", 1)
        .replace("place: north}", "place: nort}")
        .replace("tenant: mill", "tenant: mil")
        .replace("fed_by: main", "fed_by: press")
    )

    found = problems(tmp_path, text)

    assert found[0] == "3:7: name: 5 is not text; write it in quotes"
    assert found[1].startswith("15:18: medium: 'electricty' is not 'electricity'")
    assert found[2:] == [
        "15:49: unknown zone 'nort'; did you mean 'north'?",
        "18:13: unknown tenant 'mil'; did you mean 'mill'?",
        "20:13: 'press' is fed by itself, directly or over others",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "medium: electricity, role",
            "medium: electricty, role",
            "15:18: medium: 'electricty' is not 'electricity'",
        ),
        (
            "Europe/Ljubljana",
            "Europe/Lubljana",
            "4:11: timezone: unknown time zone 'Europe/Lubljana'; did you",
        ),
        ("Europe/Ljubljana", "Europe", "4:11: timezone: unknown time zone 'Europe'"),
        ("fed_by: main", "fed_by: man", "20:13: unknown meter 'man'; did you mean 'main'?"),
        ("name: Demo park", "", "2:1: key 'name' is missing"),
        ("name: Demo park", "name: 5", "3:7: name: 5 is not text; write it in quotes"),
        ("  hall:", "  hall: {name: a, zone: north}\n  hall:", "10:3: key 'hall' stands twice"),
        ("name: Demo park", "name: [", "not valid YAML"),
        ("zone: north}", "zone: nowhere}", "9:28: unknown zone 'nowhere'"),
        ("pressure_bar", "volume_l", "13:13: 'volume_l' is one of the product's own quantities"),
        (
            "low: 0, high: 40",
            "low: 50, high: 40",
            "13:17: quantity pressure_bar: low 50.0 is not below high 40.0",
        ),
        (
            "high: 40",
            "high: 40, max_rise_per_h: 5",
            "13:17: quantity pressure_bar: only a counter has a maximum rise, from 1 on",
        ),
        ("role: grid", "role: grid, fuse_a: 0", "15:"),
        (
            "medium: electricity, role: grid",
            "medium: water, fuse_a: 63",
            "fuse_a means nothing for a meter of water",
        ),
    ],
)
def test_a_problem_names_its_place_and_what_was_meant(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    found = problems(tmp_path, GOOD.replace(old, new, 1))

    assert any(expected in problem for problem in found), found


def test_a_fuse_and_a_maximum_rise_are_read(tmp_path: Path) -> None:
    text = GOOD.replace("role: grid", "role: grid, fuse_a: 63").replace(
        "pressure_bar: {unit: bar, kind: gauge", "steam_kg: {unit: kg, max_rise_per_h: 900, kind: counter"
    )
    park = load_park(write(tmp_path, text))

    assert (park.meters["main"].fuse_a, park.meters["press"].fuse_a) == (63, None)
    assert park.quantities["steam_kg"].max_rise_per_h == 900


@pytest.mark.parametrize("quantity", VOCABULARY.values(), ids=lambda one: one.name)
def test_every_counter_has_a_maximum_rise(quantity: Quantity) -> None:
    assert (quantity.max_rise_per_h is not None) is quantity.is_counter


def test_feeders_measure_the_same_medium(tmp_path: Path) -> None:
    text = GOOD.replace("main: {medium: electricity", "main: {medium: water")

    assert problems(tmp_path, text) == ["20:13: 'main' measures water, not electricity"]


def test_a_folder_holds_parks_and_reports_all_their_problems(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "a.yaml")
    assert list(load_parks(tmp_path)) == ["demo"]

    write(tmp_path, GOOD, "b.yaml")
    write(tmp_path, "park: x", "c.yaml")
    with pytest.raises(ConfigError) as caught:
        load_parks(tmp_path)
    assert "'demo' is described twice" in str(caught.value)
    assert "c.yaml:1:1: key 'meters' is missing" in str(caught.value)


def test_an_empty_folder_and_a_missing_file_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no park description"):
        load_parks(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_park(tmp_path / "none.yaml")
