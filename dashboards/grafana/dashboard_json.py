"""From our boards to Grafana's classic dashboard JSON, through the Grafana Foundation SDK.

Contract: the same site, language and version of the SDK give the same text, byte for byte; the committed
files are tested to be current. Classic JSON is what Grafana 9 to 13 all accept, from files and over HTTP; the
SDK's advice to prefer its newer model (a DeprecationWarning) is for Grafana 12.2 and later only.
"""

import json
from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    CustomVariable,
    Dashboard,
    DashboardLink,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.grafana.layout import PanelPlace, place
from dashboards.grafana.views import AnyPanel, view
from dashboards.model import queries
from dashboards.model.panel import Board, Choice, Panel, Section, Variable
from dashboards.model.queries import Query
from dashboards.model.site import Site, Source
from dashboards.model.texts import Texts

#: Grafana's type id of its InfluxDB data source.
INFLUXDB = "influxdb"
TAG = "zonewise"


class InfluxQuery(Dataquery, Builder[Dataquery]):
    """A raw InfluxQL query, which the SDK has no type for.

    Source: `public/app/plugins/datasource/influxdb/types.ts` of Grafana; for marks `prepareAnnotation` in
    `migrations.ts` beside it.
    """

    def __init__(self, text: str, *, ref: str, **fields: object) -> None:
        self._fields = {"refId": ref, "query": text, "rawQuery": True, **fields}

    def build(self) -> Dataquery:
        """Return the query unchanged; it needs no check."""
        return self

    def to_json(self) -> Mapping[str, object]:
        """Return the entry of a panel's `targets` or of an annotation's `target`."""
        return self._fields


def to_json(board: Board, site: Site, texts: Texts) -> str:
    """Return a dashboard's JSON text.

    Raises:
        UnknownName: when the language lacks a text.
    """
    built = _dashboard(board, site, texts).build()
    document = json.loads(json.dumps(built, cls=JSONEncoder))
    for link in document["links"]:
        del link["placement"]  # the SDK's default hides links in a menu
    for variable in document["templating"]["list"]:
        for key in ("auto", "auto_min", "auto_count"):  # the SDK gives every variable those of an interval
            variable.pop(key, None)
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _dashboard(board: Board, site: Site, texts: Texts) -> Dashboard:
    text = texts.board(board.key)
    built = (
        Dashboard(f"{site.name}: {text.title}")
        .uid(site.board_uid(board.key, texts.language))
        .description(text.description)
        .tags([TAG, site.park, board.key])
        .timezone(site.timezone)
        .time(board.since, "now")
        .refresh(board.refresh)
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(_link(board, site, texts))
    )
    built = built.annotation(_events(site, texts))
    for variable in board.variables:
        built = built.with_variable(_variable(variable, site, texts))
    for choice in board.choices:
        built = built.with_variable(_choice(choice, texts))
    for part, where in place(board.sections):
        if isinstance(part, Section):
            built = built.with_row(Row(texts.word("sections", part.key)).id(part.id).grid_pos(_grid(where)))
        else:
            built = built.with_panel(_panel(part, site, texts).grid_pos(_grid(where)))
    return built


def _events(site: Site, texts: Texts) -> AnnotationQuery:
    """Open events as marks on every graph; they have no panel of their own, because there are few."""
    source = _source(Source.ROLLUP, site)
    return (
        AnnotationQuery()
        .name(texts.word("words", "events"))
        .datasource(source)
        .enable(enable=True)
        .icon_color("red")
        .target(_events_query(texts.language))
    )


def _events_query(language: str) -> InfluxQuery:
    return InfluxQuery(
        queries.open_events(language),
        ref="Events",
        fromAnnotations=True,
        textColumn=f"text_{language}",
        tagsColumn="kind,subject",
    )


def _panel(panel: Panel, site: Site, texts: Texts) -> AnyPanel:
    text = texts.panel(panel.key)
    source = _source(panel.source, site)
    built = view(panel, texts, site.zones).id(panel.id).title(text.title).description(text.description)
    built = built.datasource(source).unit(panel.unit)
    for i, query in enumerate(panel.queries):
        built = built.with_target(_target(query, chr(ord("A") + i), source, texts))
    return _with_range(_with_bounds(built, panel), panel)


def _target(query: Query, ref: str, source: DataSourceRef, texts: Texts) -> InfluxQuery:
    legend = _legend(query, texts)
    return InfluxQuery(
        query.text,
        ref=ref,
        datasource=source.to_json(),
        resultFormat="table" if query.table else "time_series",
        **({"alias": legend} if legend else {}),
    )


def _with_bounds(built: AnyPanel, panel: Panel) -> AnyPanel:
    if panel.limit is not None:
        built = built.max(panel.limit)
    return built if panel.decimals is None else built.decimals(panel.decimals)


def _with_range(built: AnyPanel, panel: Panel) -> AnyPanel:
    if panel.interval:
        built = built.interval(panel.interval)
    if panel.since:
        built = built.time_from(panel.since)
    return built.time_shift(panel.shift) if panel.shift else built


def _legend(query: Query, texts: Texts) -> str:
    if not query.legend or query.legend.startswith("$"):
        return query.legend
    return texts.word("legends", query.legend)


def _link(board: Board, site: Site, texts: Texts) -> DashboardLink:
    return (
        DashboardLink(texts.board(board.sibling).title)
        .type(DashboardLinkType.LINK)
        .url(f"/d/{site.board_uid(board.sibling, texts.language)}")
        .keep_time(keep_time=True)
    )


def _variable(variable: Variable, site: Site, texts: Texts) -> QueryVariable:
    return (
        QueryVariable(variable.name)
        .label(texts.word("variables", variable.name))
        .datasource(_source(variable.source, site))
        .query(variable.query)
        .definition(variable.query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _choice(choice: Choice, texts: Texts) -> CustomVariable:
    first = choice.values[0]
    return (
        CustomVariable(choice.name)
        .label(texts.word("variables", choice.name))
        .values(",".join(choice.values))
        .options([VariableOption(selected=one == first, text=one, value=one) for one in choice.values])
        .current(VariableOption(selected=True, text=first, value=first))
    )


def _source(source: Source, site: Site) -> DataSourceRef:
    return DataSourceRef(type_val=INFLUXDB, uid=site.source_uid(source))


def _grid(where: PanelPlace) -> GridPos:
    return GridPos(x=where.x, y=where.y, w=where.w, h=where.h)
