"""Gateway and meter health: where rows get lost and which meter is silent, for technicians.

From top to bottom: is the gateway online, are all rows accounted for, what goes wrong on the lines and the
uplink, and the meters one by one.
"""

from dashboards.model import queries, units
from dashboards.model.panel import Board, Column, Panel, Scale, Section, Variable, View
from dashboards.model.queries import Query
from dashboards.model.site import Site, Source
from metering import series
from metering.series import MemberLevel

KEY = "health"
#: A gateway publishes its status every 30 s.
_STATUS = "30s"
_SLOT = "15m"
_GATEWAY_NAME = "$tag_gateway"
_METER_NAME = "$tag_meter"
_EVERY_METER = '"meter" =~ /.+/'


def board(_site: Site) -> Board:
    """Return the health dashboard of a park."""
    return Board(
        key=KEY,
        since="now-6h",
        refresh="30s",
        sibling="zones",
        sections=(_gateways(), _rows(), _lines(), _uplink(), _meters()),
        variables=(Variable("gateway", Source.ROLLUP, queries.gateway_values()),),
    )


def _rollup(text: str) -> Query:
    return Query(Source.ROLLUP, text, _GATEWAY_NAME)


def _course(panel_id: int, key: str, field: str, unit: str = units.COUNT) -> Panel:
    query = _rollup(queries.gateway_course(field))
    return Panel(panel_id, key, View.LINES, unit, (query,), width=8, interval=_STATUS)


def _rise(panel_id: int, key: str, field: str, unit: str = units.COUNT) -> Panel:
    query = _rollup(queries.gateway_rise(field))
    return Panel(panel_id, key, View.BARS, unit, (query,), width=8, height=6, interval=_STATUS, stacked=True)


def _gateways() -> Section:
    now = _rollup(queries.gateway_online())
    course = _rollup(queries.gateway_online_course())
    silent = _rollup(queries.gateway_last("meters_silent"))
    incomplete = _rollup(queries.gateway_last("meters_counter_missing"))
    return Section(
        1,
        "gateways",
        (
            Panel(2, "online", View.STAT, units.COUNT, (now,), width=4, height=6, scale=Scale.ONLINE),
            Panel(
                3, "meters-silent", View.STAT, units.COUNT, (silent,), width=4, height=6, scale=Scale.FAULTS
            ),
            Panel(
                5,
                "meters-counter-missing",
                View.STAT,
                units.COUNT,
                (incomplete,),
                width=4,
                height=6,
                scale=Scale.FAULTS,
            ),
            Panel(
                4,
                "online-course",
                View.STATES,
                units.COUNT,
                (course,),
                height=6,
                interval=_STATUS,
                scale=Scale.ONLINE,
            ),
        ),
    )


def _rows() -> Section:
    columns = (
        Column("gateway"),
        *(Column(field, units.COUNT) for field in queries.ACCOUNT_FIELDS),
        Column("unaccounted", units.COUNT, Scale.FAULTS),
    )
    table = Query(Source.ROLLUP, queries.gateway_accounts(), table=True)
    return Section(
        10,
        "rows",
        (
            Panel(11, "accounts", View.TABLE, units.COUNT, (table,), width=24, height=6, columns=columns),
            _course(12, "held", "held"),
            _rise(13, "quarantined", "quarantined"),
            _rise(14, "dropped", "dropped"),
            _course(15, "oldest-held", "oldest_held_s", units.DURATION),
        ),
    )


def _lines() -> Section:
    faults = ("timeouts", "garbled_answers", "exceptions", "late_answers", "line_failures")
    return Section(
        20,
        "lines",
        (
            _rise(21, "polls", "polls"),
            *(_rise(22 + i, field.replace("_", "-"), field) for i, field in enumerate(faults)),
        ),
    )


def _uplink() -> Section:
    return Section(
        30,
        "uplink",
        (
            _rise(31, "bytes-sent", "bytes_sent", units.BYTES),
            _rise(32, "messages-resent", "messages_resent"),
            _rise(33, "disk-failures", "disk_failures"),
        ),
    )


def _meters() -> Section:
    return Section(40, "meters", (_last_seen(), _belongs_to(), _announced(), *_figures()))


def _last_seen() -> Panel:
    query = Query(Source.RAW, queries.last_seen(), table=True)
    columns = (Column("meter"), Column("Time", units.AGE), Column("quality", units.COUNT))
    return Panel(41, "last-seen", View.TABLE, units.AGE, (query,), height=12, columns=columns)


def _belongs_to() -> Panel:
    levels = (MemberLevel.UNASSIGNED, MemberLevel.GATEWAY)
    query = Query(Source.ROLLUP, queries.members(levels), table=True)
    columns = (Column("level"), Column("group"), Column("meter"))
    # Unassigned sorts behind gateway, so the largest first puts it on top.
    return Panel(
        42, "belongs-to", View.TABLE, units.COUNT, (query,), height=12, columns=columns, sort="level"
    )


def _announced() -> Panel:
    query = Query(Source.RAW, queries.announced(), table=True)
    columns = (
        Column("gateway"),
        Column("meter"),
        Column("model"),
        Column("serial"),
        Column("poll_s", "s"),
    )
    return Panel(45, "announced", View.TABLE, units.COUNT, (query,), width=24, height=10, columns=columns)


def _figures() -> tuple[Panel, Panel]:
    """Coverage and quality of every meter's counter, energy and volume in one panel."""
    coverage, quality = (
        tuple(
            Query(
                Source.ROLLUP,
                query(field, series.METER_15M, where=_EVERY_METER, by="meter"),
                _METER_NAME,
            )
            for field in ("energy_import_wh", "volume_l")
        )
        for query in (queries.coverage, queries.worst_quality)
    )
    return (
        Panel(
            43,
            "meter-coverage",
            View.GAUGES,
            units.SHARE,
            coverage,
            height=14,
            scale=Scale.COVERAGE,
            limit=1,
        ),
        Panel(
            44,
            "meter-quality",
            View.STATES,
            units.COUNT,
            quality,
            height=14,
            interval=_SLOT,
            scale=Scale.QUALITY,
        ),
    )
