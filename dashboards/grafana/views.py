"""From our panels to Grafana's: one function per `View`, through the Grafana Foundation SDK."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from grafana_foundation_sdk.builders import bargauge, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    TableSortByFieldState,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
)

from dashboards.grafana.look import STATE_COLOURS, STEPS, mappings, names, thresholds
from dashboards.model.panel import Column, Panel, Scale, View
from dashboards.model.texts import Texts

#: Tag of the series and column of the tables that hold a zone's id.
GROUP = "group"
AnyPanel = bargauge.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel
#: A line is broken where points are further apart than this: a gap is not bridged.
_BREAK_MS = 30 * 60 * 1000


def view(panel: Panel, texts: Texts, zones: Mapping[str, str]) -> AnyPanel:
    """Return the SDK's builder of a panel, without its place and queries.

    Args:
        panel: What to show.
        texts: Its texts.
        zones: Display names of zones by id.
    """
    built = _VIEWS[panel.view](panel, texts)
    if any(column.name == GROUP for column in panel.columns):
        title = texts.word("columns", GROUP)
        return built.override_by_name(title, [DynamicConfigValue(id_val="mappings", value=names(zones))])
    if all(query.legend == f"$tag_{GROUP}" for query in panel.queries):
        for zone, name in zones.items():
            built = built.override_by_name(zone, [DynamicConfigValue(id_val="displayName", value=name)])
    return built


def _stat(panel: Panel, texts: Texts) -> stat.Panel:
    return (
        stat.Panel()
        .reduce_options(_last_value())
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .mappings(mappings(panel.scale, texts))
        .thresholds(thresholds(panel.scale))
        .color_scheme(_scheme(panel.scale))
        .no_value(texts.word("words", "no-value"))
    )


def _gauges(panel: Panel, texts: Texts) -> bargauge.Panel:
    return (
        bargauge.Panel()
        .reduce_options(_last_value())
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .thresholds(thresholds(panel.scale))
        .color_scheme(_scheme(panel.scale))
        .min(0)
        .no_value(texts.word("words", "no-value"))
    )


def _lines(panel: Panel, _texts: Texts) -> timeseries.Panel:
    # Points two days apart are still neighbours where there is one a day.
    daily = panel.interval == "1d"
    return (
        _graph()
        .draw_style(GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(5)
        .show_points(VisibilityMode.AUTO)
        .insert_nulls(False if daily else _BREAK_MS)
        .legend(_legend())
    )


def _bars(panel: Panel, _texts: Texts) -> timeseries.Panel:
    bars = _graph().draw_style(GraphDrawStyle.BARS).line_width(0).fill_opacity(80)
    if panel.stacked:
        bars = bars.stacking(StackingConfig().mode(StackingMode.NORMAL).group("A"))
    return bars.legend(_legend().calcs(["sum"]))


def _graph() -> timeseries.Panel:
    return timeseries.Panel().tooltip(
        VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    )


def _states(panel: Panel, texts: Texts) -> statetimeline.Panel:
    return (
        statetimeline.Panel()
        .merge_values(merge_values=True)
        .show_value(VisibilityMode.NEVER)
        .row_height(0.8)
        .fill_opacity(85)
        .line_width(0)
        .mappings(mappings(panel.scale, texts))
        .thresholds(thresholds(panel.scale))
        .color_scheme(_scheme(panel.scale))
        .legend(_legend())
    )


def _table(panel: Panel, texts: Texts) -> table.Panel:
    built = table.Panel().with_transformation(_only_columns(panel, texts)).filterable(filterable=True)
    for column in panel.columns:
        built = built.override_by_name(_title(column, texts), _column_look(column, texts))
    if panel.sort:
        name = texts.word("columns", panel.sort)
        built = built.sort_by([TableSortByFieldState().display_name(name).desc(desc=True)])
    return built


def _only_columns(panel: Panel, texts: Texts) -> DataTransformerConfig:
    """Keep the named columns, in their order, under the language's names."""
    names = [column.name for column in panel.columns]
    return DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {} if "Time" in names else {"Time": True},
            "indexByName": {name: i for i, name in enumerate(names)},
            "renameByName": {column.name: _title(column, texts) for column in panel.columns},
        },
    )


def _title(column: Column, texts: Texts) -> str:
    return texts.word("columns", column.name)


def _column_look(column: Column, texts: Texts) -> list[DynamicConfigValue]:
    look = [DynamicConfigValue(id_val="unit", value=column.unit)]
    if column.scale is not Scale.PLAIN:
        look += [
            DynamicConfigValue(id_val="thresholds", value=thresholds(column.scale).build()),
            DynamicConfigValue(id_val="mappings", value=mappings(column.scale, texts)),
            DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
        ]
    return look


def _legend() -> VizLegendOptions:
    return (
        VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
    )


def _last_value() -> ReduceDataOptions:
    return ReduceDataOptions().calcs(["lastNotNull"]).values(values=False).fields("")


def _scheme(scale: Scale) -> FieldColor:
    by_value = scale in STATE_COLOURS or len(STEPS[scale]) > 1
    mode = FieldColorModeId.THRESHOLDS if by_value else FieldColorModeId.PALETTE_CLASSIC
    return FieldColor().mode(mode)


_VIEWS: Mapping[View, Callable[[Panel, Texts], AnyPanel]] = MappingProxyType(
    {
        View.STAT: _stat,
        View.LINES: _lines,
        View.BARS: _bars,
        View.GAUGES: _gauges,
        View.STATES: _states,
        View.TABLE: _table,
    }
)
