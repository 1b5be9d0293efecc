"""The dashboards as a reader and Grafana meet them: every panel named, placed, bound and explained."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.boards.table import boards
from dashboards.grafana.committed import committed_files
from dashboards.grafana.files import dashboard_files
from dashboards.model.languages import languages, load_texts
from dashboards.model.panel import GRID_WIDTH, Board, Column, Panel, Section, View
from dashboards.model.queries import Query
from dashboards.model.site import UID_LENGTH, Site, Source, to_site, uid
from dashboards.model.texts import Texts
from dashboards.model.units import GRAFANA_UNIT
from metering.park.file import load_park
from metering.quantities import Unit

ROOT = Path(__file__).parents[3]
DEMO_PARK = ROOT / "simulators/parks/demo/park.yaml"
Json = dict[str, Any]
DEMO = Site("demo", "Demo park", "Europe/Ljubljana", {"hall-a": "Hall A", "hall-b": "Hall B"})
DASHBOARDS = {name: json.loads(text) for name, text in dashboard_files(DEMO, load_texts("en")).items()}


def panels(dashboard: Json) -> Iterator[Json]:
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def texts_of(dashboard: Json) -> Iterator[str]:
    """Every query text: of panels, variables and marks."""
    yield from (target["query"] for panel in panels(dashboard) for target in panel["targets"])
    yield from (variable["query"] for variable in dashboard["templating"]["list"])
    yield from (annotation["target"]["query"] for annotation in dashboard["annotations"]["list"])


@pytest.fixture(params=sorted(DASHBOARDS))
def dashboard(request: pytest.FixtureRequest) -> Json:
    found: Json = DASHBOARDS[request.param]
    return found


def test_committed_dashboards_are_current_and_no_others_are_committed() -> None:
    committed = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in (ROOT / "dashboards/generated").rglob("*.json")
    }

    assert committed == committed_files(to_site(load_park(DEMO_PARK))), "run: make generate"


def test_zones_are_shown_by_name() -> None:
    """Series only know ids."""
    by_title = {panel["title"]: panel for panel in panels(DASHBOARDS["zones.json"])}
    shown = {
        override["matcher"]["options"]: override["properties"][0]["value"]
        for override in by_title["Power in the last hour"]["fieldConfig"]["overrides"]
    }

    assert shown == {"hall-a": "Hall A", "hall-b": "Hall B"}
    for title in ("Power now", "Zones compared"):
        column = next(
            override["properties"][0]["value"][0]["options"]
            for override in by_title[title]["fieldConfig"]["overrides"]
            if override["properties"][0]["id"] == "mappings"
        )
        assert {zone: one["text"] for zone, one in column.items()} == shown


@pytest.mark.parametrize("title", ["Power now", "Water flow now"])
def test_the_state_of_a_live_figure_is_a_word(title: str) -> None:
    panel = next(one for one in panels(DASHBOARDS["zones.json"]) if one["title"] == title)
    (state,) = (one for one in panel["fieldConfig"]["overrides"] if one["matcher"]["options"] == "State")
    (maps,) = (one["value"] for one in state["properties"] if one["id"] == "mappings")
    values, between = maps[0]["options"], maps[1]["options"]

    assert (values["0"]["text"], values["1"]["text"]) == ("silent", "all meters answer")
    assert 0 < between["from"] < 0.001
    assert 0.999 < between["to"] < 1
    assert between["result"]["text"] == "partial"


def test_what_grafana_requires_is_there(dashboard: Json) -> None:
    assert dashboard["schemaVersion"] >= 39
    assert "id" not in dashboard, "ids are Grafana's own, per installation"
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", dashboard["uid"])
    assert dashboard["title"]
    assert dashboard["timezone"] == DEMO.timezone


def test_every_panel_says_what_it_is(dashboard: Json) -> None:
    for panel in panels(dashboard):
        assert panel["title"], panel["id"]
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]


def test_every_query_has_the_data_source_of_its_panel(dashboard: Json) -> None:
    known = {DEMO.source_uid(source) for source in Source}
    for panel in panels(dashboard):
        source = panel["datasource"]
        assert source["type"] == "influxdb"
        assert source["uid"] in known
        assert {json.dumps(target["datasource"]) for target in panel["targets"]} == {json.dumps(source)}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)


def test_panel_ids_are_unique_and_positive(dashboard: Json) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]

    assert len(set(ids)) == len(ids)
    assert min(ids) > 0


def test_panels_lie_on_the_grid_and_never_overlap(dashboard: Json) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= GRID_WIDTH
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_variables_are_defined_and_used(dashboard: Json) -> None:
    defined = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = {
        name
        for text in texts_of(dashboard)
        for name in re.findall(r"\$(\w+)", text)
        if not name.startswith("__")
    }

    assert used - {"timeFilter"} == defined


def test_legends_name_tags_that_their_query_groups_by(dashboard: Json) -> None:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            for tag in re.findall(r"\$tag_(\w+)", target.get("alias", "")):
                assert f'"{tag}"' in target["query"].partition("GROUP BY")[2], panel["title"]


def test_queries_run_on_every_flavour(dashboard: Json) -> None:
    """Unqualified measurement names, and nothing that 2.x or 3 lack."""
    for text in texts_of(dashboard):
        assert not re.search(r'FROM "[^"]+"\.', text), text
        assert not re.search(r"\b(INTO|SLIMIT|SOFFSET|sample\(|holt_winters)", text), text


def test_figures_come_from_intervals_not_from_counters(dashboard: Json) -> None:
    """A counter differenced in a query turns a gap into a peak; totals of gateways are diagnostics."""
    differenced = [text for text in texts_of(dashboard) if "difference(" in text or "derivative(" in text]

    assert all('FROM "gateway_status"' in text for text in differenced)


def test_panel_over_quarter_hours_never_asks_for_finer_steps(dashboard: Json) -> None:
    for panel in panels(dashboard):
        if any(
            "_15m" in target["query"] and "time($__interval)" in target["query"]
            for target in panel["targets"]
        ):
            assert panel["interval"] in {"15m", "1d"}, panel["title"]


def test_daily_figures_follow_the_local_day() -> None:
    for text in texts_of(DASHBOARDS["zones.json"]):
        if "time(1d)" in text or "time($bin)" in text:
            assert text.endswith("tz('Europe/Ljubljana')"), text


def test_dashboards_link_to_each_other() -> None:
    uids = {dashboard["uid"] for dashboard in DASHBOARDS.values()}
    linked = {link["url"].removeprefix("/d/") for one in DASHBOARDS.values() for link in one["links"]}

    assert linked == uids


def test_an_id_cannot_stand_twice() -> None:
    panel = Panel(1, "demand", View.LINES, "watt", (Query(Source.ROLLUP, "SELECT 1"),))

    with pytest.raises(ValueError, match="stands twice"):
        Board("b", "now-1h", "1m", "c", (Section(1, "peaks", (panel,)),), ())


def test_a_panel_has_one_data_source() -> None:
    mixed = (Query(Source.ROLLUP, "SELECT 1"), Query(Source.RAW, "SELECT 1"))

    with pytest.raises(ValueError, match="one data source"):
        Panel(1, "demand", View.LINES, "watt", mixed)


def test_only_tables_have_columns() -> None:
    query = Query(Source.ROLLUP, "SELECT 1")

    with pytest.raises(ValueError, match="columns"):
        Panel(1, "demand", View.LINES, "watt", (query,), columns=(Column("meter"),))


@pytest.mark.parametrize("park", ["a", "demo", "x" * 32])
@pytest.mark.parametrize("what", ["raw", "rollup", "park", "zones", "health-sl"])
def test_uids_fit_grafana(park: str, what: str) -> None:
    assert len(uid(park, what)) <= UID_LENGTH
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", uid(park, what))


def test_uids_of_long_park_names_stay_apart() -> None:
    one, two = "industrial-park-of-the-valley-01", "industrial-park-of-the-valley-02"

    assert uid(one, "rollup") != uid(two, "rollup")


def test_uids_never_change() -> None:
    """Links, alerts and permissions hang on them."""
    assert [uid("demo", "rollup"), uid("x" * 32, "rollup")] == [
        "zonewise-demo-rollup",
        "zonewise-xxxxxxxxxxxxxxxxx-c62e46-rollup",
    ]


def test_two_parks_share_nothing() -> None:
    other = Site("other", "Other park", "Europe/Vienna")
    text = "".join(dashboard_files(other, load_texts("en")).values())

    assert "zonewise-demo" not in text
    assert "zonewise-other-rollup" in text


# What Grafana writes behind a number, by unit id, without the prefixes (k, M) that it adds by itself:
# packages/grafana-data/src/valueFormats/categories.ts of Grafana 9 to 12. Grams are shown as kilograms there.
SYMBOLS = {
    "amp": "A",
    "celsius": "°C",
    "h": "h",
    "hertz": "Hz",
    "litre": "L",
    "masskg": "kg",
    "Nm3": "Nm3",
    "percent": "%",
    "ppm": "ppm",
    "pressurebar": "bar",
    "volt": "V",
    "voltamp": "VA",
    "voltampreact": "var",
    "watt": "W",
    "watth": "Wh",
}


@pytest.mark.parametrize("unit", Unit)
def test_every_unit_is_shown_with_its_own_symbol(unit: Unit) -> None:
    shown = GRAFANA_UNIT[unit]
    if unit in (Unit.ONE, Unit.PIECES):
        assert shown == "none", "a plain number"
    else:
        symbol = SYMBOLS[shown] if shown in SYMBOLS else shown.removeprefix("suffix:")
        assert symbol.replace("³", "3") == unit.value


@pytest.mark.parametrize("language", languages())
def test_a_catalogue_has_every_text_and_no_other(language: str) -> None:
    texts = load_texts(language)
    all_boards = boards(DEMO)
    all_panels = [panel for board in all_boards for panel in board.panels]

    assert texts.language == language
    assert set(texts.boards) == {board.key for board in all_boards}
    assert set(texts.sections) == {section.key for board in all_boards for section in board.sections}
    assert set(texts.panels) == {panel.key for panel in all_panels}
    assert set(texts.columns) == {column.name for panel in all_panels for column in panel.columns}
    assert set(texts.legends) == {
        query.legend
        for panel in all_panels
        for query in panel.queries
        if query.legend.strip("$") == query.legend != ""
    }
    assert texts.variables.keys() == variable_names(all_boards)


def variable_names(all_boards: tuple[Board, ...]) -> set[str]:
    variables = {variable.name for board in all_boards for variable in board.variables}
    return variables | {choice.name for board in all_boards for choice in board.choices}


def test_another_language_changes_words_and_uids_only() -> None:
    """Same panels under the same ids, so that links and alerts hold."""
    english = load_texts("en")
    slovenian = Texts.model_validate({**english.model_dump(), "language": "sl"})
    files = dashboard_files(DEMO, slovenian)

    assert json.loads(files["zones.json"])["uid"] == "zonewise-demo-zones-sl"
    assert [panel["id"] for panel in json.loads(files["zones.json"])["panels"]] == [
        panel["id"] for panel in DASHBOARDS["zones.json"]["panels"]
    ]


def test_the_guide_explains_every_row_of_the_zone_overview() -> None:
    guide = (ROOT / "docs/facility-manager.md").read_text(encoding="utf-8")
    rows = [panel["title"] for panel in DASHBOARDS["zones.json"]["panels"] if panel["type"] == "row"]

    assert [row for row in rows if f"| {row} |" not in guide] == []


def test_panels_that_the_guide_names_exist() -> None:
    guide = (ROOT / "docs/facility-manager.md").read_text(encoding="utf-8")
    titles = {panel["title"] for one in DASHBOARDS.values() for panel in one["panels"]}
    steps = re.findall(r"^\d\. \*(.+?)\*", guide, re.MULTILINE)

    assert len(steps) == 4
    assert [step for step in steps if step not in titles] == []
