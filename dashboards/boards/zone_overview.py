"""The zone overview: the daily dashboard of a facility manager, most urgent first.

From top to bottom: now, today against yesterday, energy, peaks, water, the zones compared, and whether the
figures can be trusted.
"""

from dashboards.model import queries, units
from dashboards.model.panel import Board, Choice, Column, Panel, Scale, Section, Variable, View
from dashboards.model.queries import PARK, ZONES, Query
from dashboards.model.site import Site, Source
from metering import series
from metering.quantities import Medium
from metering.series import GroupField, MemberLevel

KEY = "zones"
_SLOT = "15m"
_LIVE = "10s"
#: Live figures are written every 10 s: older ones are not shown as present.
_LIVE_WITHIN = "1m"
_ZONE_NAME = "$tag_group"
_METER_NAME = "$tag_meter"
_PER_M3 = f" / {queries.LITRES_PER_M3}"
_TOP_SLOTS = 10


def board(site: Site) -> Board:
    """Return the zone overview of a park."""
    return Board(
        key=KEY,
        since="now-7d",
        refresh="1m",
        sibling="health",
        sections=(
            _now(),
            _today(),
            _energy(site),
            _peaks(site),
            _water(site),
            _zones(),
            _trust(),
            _meters(),
        ),
        variables=(
            Variable("zone", Source.ROLLUP, queries.zone_values()),
            Variable("meter", Source.ROLLUP, queries.meter_values()),
        ),
        choices=(Choice("bin", ("15m", "1h", "1d")),),
    )


def _rollup(text: str, legend: str = _ZONE_NAME) -> Query:
    return Query(Source.ROLLUP, text, legend)


def _now() -> Section:
    power, flow = series.LIVE_POWER, series.LIVE_FLOW
    now = (
        (2, "power-now", units.POWER, queries.live(power, where=ZONES)),
        (3, "flow-now", units.FLOW, queries.live(flow, where=ZONES)),
    )
    courses = (
        (4, "power-course", units.POWER, queries.live_course(power, where=ZONES)),
        (5, "flow-course", units.FLOW, queries.live_course(flow, where=ZONES)),
    )
    return Section(
        1,
        "now",
        (
            *(_live_table(i, key, unit, text) for i, key, unit, text in now),
            *(
                Panel(i, key, View.LINES, unit, (_rollup(text),), interval=_LIVE, since="1h")
                for i, key, unit, text in courses
            ),
        ),
    )


def _live_table(panel_id: int, key: str, unit: str, text: str) -> Panel:
    """One row per zone, with its state: silent, only partly read, or complete."""
    live, now, at_least, answering, meters = queries.LIVE_COLUMNS
    return Panel(
        panel_id,
        key,
        View.TABLE,
        unit,
        (Query(Source.ROLLUP, text, table=True),),
        height=6,
        since=_LIVE_WITHIN,
        columns=(
            Column("group"),
            Column(now, unit),
            Column(at_least, unit),
            Column(answering, units.COUNT),
            Column(meters, units.COUNT),
            Column(live, units.SHARE, Scale.LIVE),
        ),
    )


def _today() -> Section:
    energy = queries.total(GroupField.ELECTRICITY_USE, where=ZONES)
    water = queries.total(GroupField.WATER_USE, where=ZONES, factor=_PER_M3)
    panels = (
        (11, "energy-today", units.ENERGY, energy, ""),
        (12, "energy-yesterday", units.ENERGY, energy, "1d/d"),
        (13, "water-today", units.VOLUME_M3, water, ""),
        (14, "water-yesterday", units.VOLUME_M3, water, "1d/d"),
    )
    return Section(
        10,
        "today",
        tuple(
            Panel(i, key, View.STAT, unit, (_rollup(text),), width=6, height=5, since="now/d", shift=shift)
            for i, key, unit, text, shift in panels
        ),
    )


def _energy(site: Site) -> Section:
    use = queries.per_bin(GroupField.ELECTRICITY_USE, where=ZONES, timezone=site.timezone)
    flows = (
        (GroupField.ELECTRICITY_IMPORT, "import", ""),
        (GroupField.ELECTRICITY_GENERATION, "generation", ""),
        (GroupField.ELECTRICITY_EXPORT, "export", " * -1"),
    )
    park = tuple(
        _rollup(queries.per_bin(field, where=PARK, timezone=site.timezone, factor=factor), legend)
        for field, legend, factor in flows
    )
    own = _rollup(queries.own_supply(where=PARK), "own-supply")
    bars = (
        Panel(
            21, "energy-use", View.BARS, units.ENERGY, (_rollup(use),), interval=_SLOT, stacked=True, width=14
        ),
        Panel(22, "park-flows", View.BARS, units.ENERGY, park, interval=_SLOT, width=7),
        Panel(23, "own-supply", View.STAT, units.SHARE, (own,), width=3, decimals=0),
    )
    return Section(20, "energy", bars)


def _peaks(site: Site) -> Section:
    course = queries.demand(GroupField.ELECTRICITY_USE, where=ZONES)
    peaks = queries.peak(GroupField.ELECTRICITY_USE, where=ZONES)
    slots = queries.highest_slots(GroupField.ELECTRICITY_IMPORT, _TOP_SLOTS, where=PARK)
    base = queries.base_load(GroupField.ELECTRICITY_USE, where=ZONES, timezone=site.timezone)
    columns = (Column("Time", units.INSTANT), Column("demand", units.POWER))
    return Section(
        30,
        "peaks",
        (
            Panel(31, "demand", View.LINES, units.POWER, (_rollup(course),), interval=_SLOT),
            Panel(32, "peak", View.GAUGES, units.POWER, (_rollup(peaks),)),
            Panel(
                33,
                "park-peaks",
                View.TABLE,
                units.POWER,
                (Query(Source.ROLLUP, slots, table=True),),
                columns=columns,
                sort="demand",
            ),
            Panel(34, "base-load", View.LINES, units.POWER, (_rollup(base),), interval="1d"),
        ),
    )


def _water(site: Site) -> Section:
    use = queries.per_bin(GroupField.WATER_USE, where=ZONES, timezone=site.timezone, factor=_PER_M3)
    lowest = queries.lowest_flow(GroupField.WATER_USE, where=ZONES, timezone=site.timezone)
    return Section(
        40,
        "water",
        (
            Panel(41, "water-use", View.BARS, units.VOLUME_M3, (_rollup(use),), interval=_SLOT, stacked=True),
            Panel(42, "lowest-flow", View.LINES, units.FLOW, (_rollup(lowest),), interval="1d", decimals=2),
        ),
    )


def _zones() -> Section:
    columns = (
        Column("group"),
        *(Column(field, units.ENERGY) for field in queries.COMPARED_ENERGY),
        *(Column(field, units.VOLUME_M3) for field in queries.COMPARED_VOLUME),
        Column("coverage", units.SHARE, Scale.COVERAGE),
    )
    table = Query(Source.ROLLUP, queries.compared(where=ZONES), table=True)
    return Section(
        50,
        "zones",
        (
            Panel(
                51,
                "zones-compared",
                View.TABLE,
                units.ENERGY,
                (table,),
                width=24,
                columns=columns,
                sort=GroupField.ELECTRICITY_USE,
            ),
        ),
    )


def _trust() -> Section:
    energy, water, group = GroupField.ELECTRICITY_USE, GroupField.WATER_USE, series.GROUP_15M
    quality = (
        (61, "energy-quality", queries.worst_quality(energy, group, where=ZONES, by="group")),
        (62, "water-quality", queries.worst_quality(water, group, where=ZONES, by="group")),
    )
    coverage = (
        (63, "energy-coverage", queries.coverage(energy, group, where=ZONES, by="group")),
        (64, "water-coverage", queries.coverage(water, group, where=ZONES, by="group")),
    )
    return Section(
        60,
        "trust",
        (
            *(
                Panel(i, key, View.STATES, units.COUNT, (_rollup(text),), interval=_SLOT, scale=Scale.QUALITY)
                for i, key, text in quality
            ),
            *(
                Panel(
                    i,
                    key,
                    View.GAUGES,
                    units.SHARE,
                    (_rollup(text),),
                    height=6,
                    scale=Scale.COVERAGE,
                    limit=1,
                )
                for i, key, text in coverage
            ),
        ),
    )


def _meters() -> Section:
    members = Query(
        Source.ROLLUP,
        queries.members((MemberLevel.ZONE,), extra=' AND "group" =~ /^$zone$/'),
        table=True,
    )
    fields = ("energy_import_wh", "energy_export_wh", "volume_l")
    totals = Query(Source.ROLLUP, queries.meter_totals(fields), table=True)
    course = Query(Source.RAW, queries.meter_course("active_power_w", Medium.ELECTRICITY), _METER_NAME)
    return Section(
        70,
        "meters",
        (
            Panel(
                71,
                "meters-of-zone",
                View.TABLE,
                units.COUNT,
                (members,),
                width=8,
                height=10,
                columns=(Column("group"), Column("meter")),
            ),
            Panel(
                72,
                "meter-totals",
                View.TABLE,
                units.ENERGY,
                (totals,),
                width=16,
                height=10,
                columns=(
                    Column("meter"),
                    Column(fields[0], units.ENERGY),
                    Column(fields[1], units.ENERGY),
                    Column(fields[2], "litre"),
                ),
                sort=fields[0],
            ),
            Panel(
                73, "meter-power", View.LINES, units.POWER, (course,), width=24, interval=_LIVE, since="1h"
            ),
        ),
    )
