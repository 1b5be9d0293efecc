"""InfluxQL text from series names. Pure.

Invariants:
- Measurement names are unqualified: the data source names the database, so the same text runs on
  InfluxDB 1.x, 2.x and 3.
- Shown figures come from derived series; counters are never differenced in a query, because a gap would
  become a spike. The cumulative totals of `gateway_status` are the one exception: they are diagnostics.
- A ratio is sum over sum, never a mean of ratios.
- `$timeFilter`, `$__interval` are Grafana's macros, `$zone`, `$meter`, `$gateway`, `$bin` the dashboards' own
  variables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.model.site import Source
from metering import series
from metering.quantities import Medium
from metering.series import (
    GroupField,
    IntervalQuality,
    Level,
    MemberLevel,
    at_least_field,
    coverage_field,
    expected_field,
    fresh_field,
    quality_field,
)

#: A 15-minute energy in Wh times this is the mean power in W.
SLOTS_PER_HOUR = 4
LITRES_PER_M3 = 1000

ZONES = f'"level" = \'{Level.ZONE}\' AND "group" =~ /^$zone$/'
PARK = f"\"level\" = '{Level.PARK}'"
METERS = '"meter" =~ /^$meter$/'
GATEWAYS = '"gateway" =~ /^$gateway$/'
#: Statuses that the gateway itself sent: the last will, sent by the broker, has no figures.
_TOLD = f'{GATEWAYS} AND "online" = 1'
RAW_MEDIA = ", ".join(f'"{medium}"' for medium in Medium)


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Attributes:
        legend: Name of its series: `$tag_<tag>`, or a key of the `legends` of a language.
        table: Whether Grafana shows rows and columns instead of series.
    """

    source: Source
    text: str
    legend: str = ""
    table: bool = False


def _select(what: str, measurement: str, where: str, by: str) -> str:
    return f'SELECT {what} FROM "{measurement}" WHERE {where} AND $timeFilter GROUP BY {by}'


def _local(timezone: str) -> str:
    return f"fill(none) tz('{timezone}')"


def _named(function: str, fields: Sequence[str], factor: str = "") -> list[str]:
    """The function of each field, under the field's own name."""
    return [f'{function}("{field}"){factor} AS "{field}"' for field in fields]


def _good_for_peaks(field: GroupField) -> str:
    return f'"{quality_field(field)}" <= {IntervalQuality.MANUAL.value}'


def per_bin(field: str, *, where: str, timezone: str, factor: str = "") -> str:
    """Sum of a 15-minute figure per bar; days are the park's days."""
    by = f'time($bin), "group" {_local(timezone)}'
    return _select(f'sum("{field}"){factor}', series.GROUP_15M, where, by)


def total(field: str, *, where: str, factor: str = "") -> str:
    """Sum of a 15-minute figure per group over the whole range."""
    return _select(f'sum("{field}"){factor}', series.GROUP_15M, where, '"group"')


def demand(field: GroupField, *, where: str) -> str:
    """Highest 15-minute mean power (W) within each step of the graph."""
    by = 'time($__interval), "group" fill(null)'
    return _select(f'max("{field}") * {SLOTS_PER_HOUR}', series.GROUP_15M, where, by)


def peak(field: GroupField, *, where: str) -> str:
    """Highest 15-minute mean power (W) per group; estimated and suspect slots cannot be a peak."""
    good = f"{where} AND {_good_for_peaks(field)}"
    return _select(f'max("{field}") * {SLOTS_PER_HOUR}', series.GROUP_15M, good, '"group"')


def highest_slots(field: GroupField, count: int, *, where: str) -> str:
    """The highest 15-minute mean powers (W) with their start."""
    slots = (
        f'SELECT "{field}" * {SLOTS_PER_HOUR} AS "demand" FROM "{series.GROUP_15M}"'
        f" WHERE {where} AND {_good_for_peaks(field)} AND $timeFilter"
    )
    return f'SELECT top("demand", {count}) AS "demand" FROM ({slots})'


def base_load(field: GroupField, *, where: str, timezone: str) -> str:
    """Mean power (W) of the quietest hour of each day.

    Not a percentile: InfluxDB 1.6.7 ends a series at the first window in which `percentile` has too few
    values, such as the first hours of a park.
    """
    hours = _select(
        f'mean("{field}") * {SLOTS_PER_HOUR} AS "power"',
        series.GROUP_15M,
        f"{where} AND {_good_for_peaks(field)}",
        'time(1h), "group" fill(none)',
    )
    return (
        f'SELECT min("power") FROM ({hours}) WHERE $timeFilter GROUP BY time(1d), "group" {_local(timezone)}'
    )


def lowest_flow(field: GroupField, *, where: str, timezone: str) -> str:
    """Lowest 15-minute mean flow (m3/h) of each day."""
    what = f'min("{field}") * {SLOTS_PER_HOUR} / {LITRES_PER_M3}'
    return _daily(what, field, where, timezone)


def _daily(what: str, field: GroupField, where: str, timezone: str) -> str:
    good = f"{where} AND {_good_for_peaks(field)}"
    return _select(what, series.GROUP_15M, good, f'time(1d), "group" {_local(timezone)}')


def own_supply(*, where: str) -> str:
    """Share of the use that was not imported (0 to 1): sum over sum."""
    use, imported = (
        f'sum("{field}")' for field in (GroupField.ELECTRICITY_USE, GroupField.ELECTRICITY_IMPORT)
    )
    return _select(f"({use} - {imported}) / {use}", series.GROUP_15M, where, '"group"')


#: Columns of `live`: coverage, then the figure, the least that it can be, and the meters fresh and expected.
LIVE_COLUMNS = ("live", "now", "at_least", "answering", "meters")


def live(field: str, *, where: str) -> str:
    """One row per group: its newest live point as a whole.

    The other fields are those of the point with the newest coverage, which each point has. So a group whose
    figure is absent there has none in the table, however recent the figure before it is.
    """
    live, *others = LIVE_COLUMNS
    fields = (field, at_least_field(field), fresh_field(field), expected_field(field))
    columns = [f'"{one}" AS "{name}"' for one, name in zip(fields, others, strict=True)]
    newest = f'last("{coverage_field(field)}") AS "{live}"'
    return _select(", ".join([newest, *columns]), series.GROUP_LIVE, where, '"group"')


def live_course(field: str, *, where: str) -> str:
    """Course of live power (W) or flow (m3/h) per group; gaps are not filled."""
    return _select(f'mean("{field}")', series.GROUP_LIVE, where, 'time($__interval), "group" fill(null)')


COMPARED_ENERGY = (
    GroupField.ELECTRICITY_USE,
    GroupField.ELECTRICITY_IMPORT,
    GroupField.ELECTRICITY_EXPORT,
    GroupField.ELECTRICITY_GENERATION,
    GroupField.HEAT_USE,
)
COMPARED_VOLUME = (GroupField.WATER_USE, GroupField.GAS_USE)


def compared(*, where: str) -> str:
    """One row per group: every carrier's use (Wh, m3), and how complete the figures are."""
    columns = _named("sum", COMPARED_ENERGY) + _named("sum", COMPARED_VOLUME, f" / {LITRES_PER_M3}")
    columns.append(f'mean("{coverage_field(GroupField.ELECTRICITY_USE)}") AS "coverage"')
    return _select(", ".join(columns), series.GROUP_15M, where, '"group"')


def worst_quality(field: str, measurement: str, *, where: str, by: str) -> str:
    """Worst interval quality within each step of the graph."""
    steps = f'time($__interval), "{by}" fill(null)'
    return _select(f'max("{quality_field(field)}")', measurement, where, steps)


def coverage(field: str, measurement: str, *, where: str, by: str) -> str:
    """Share of good slots and meters (0 to 1); slots are equally long, so their mean is good over all."""
    return _select(f'mean("{coverage_field(field)}")', measurement, where, f'"{by}"')


def members(levels: Sequence[MemberLevel], *, extra: str = "") -> str:
    """The meters of groups, newest entry each."""
    where = f'"level" =~ /^({"|".join(levels)})$/{extra}'
    return _select('last("id") AS "id"', series.MEMBER, where, '"level", "group", "meter"')


def meter_totals(fields: Sequence[str]) -> str:
    """One row per meter: 15-minute energies (Wh) and volumes (L) summed."""
    return _select(", ".join(_named("sum", fields)), series.METER_15M, METERS, '"meter"')


def meter_course(field: str, medium: Medium) -> str:
    """Course of a gauge as read, per meter."""
    return _select(f'mean("{field}")', medium, METERS, 'time($__interval), "meter" fill(none)')


def last_seen() -> str:
    """Time and quality bits of each meter's newest reading, of all media."""
    return f'SELECT last("{series.QUALITY}") AS "quality" FROM {RAW_MEDIA} WHERE $timeFilter GROUP BY "meter"'


def announced() -> str:
    """What each meter's gateway announced last, however long ago: no time filter on purpose."""
    columns = ", ".join(_named("last", ANNOUNCED))
    return f'SELECT {columns} FROM "{series.METERS}" GROUP BY "gateway", "meter"'


ANNOUNCED = ("model", "serial", "poll_s")


def open_events(language: str) -> str:
    """Texts of events while they are open."""
    return (
        f'SELECT "text_{language}", "kind", "subject" FROM "{series.EVENT}" WHERE "state" = 1 AND $timeFilter'
    )


def gateway_online() -> str:
    """Whether each gateway is online: 1 or 0."""
    return _select('last("online") AS "online"', series.GATEWAY_STATUS, GATEWAYS, '"gateway"')


def gateway_online_course() -> str:
    """When each gateway was online; a step in which it was offline at any time counts as offline."""
    by = 'time($__interval), "gateway" fill(null)'
    return _select('min("online")', series.GATEWAY_STATUS, GATEWAYS, by)


def gateway_last(field: str) -> str:
    """Newest value of `gateway_status` per gateway."""
    return _select(f'last("{field}") AS "{field}"', series.GATEWAY_STATUS, _TOLD, '"gateway"')


ACCOUNT_FIELDS = ("read", "stored", "quarantined", "held", "dropped")


def gateway_accounts() -> str:
    """Rows per gateway: read = stored + quarantined + held + dropped, and the difference."""
    balance = " - ".join(f'last("{field}")' for field in ACCOUNT_FIELDS)
    columns = [*_named("last", ACCOUNT_FIELDS), f'{balance} AS "unaccounted"']
    return _select(", ".join(columns), series.GATEWAY_STATUS, _TOLD, '"gateway"')


def gateway_course(field: str) -> str:
    """Course of a value of `gateway_status` per gateway."""
    by = 'time($__interval), "gateway" fill(null)'
    return _select(f'last("{field}")', series.GATEWAY_STATUS, _TOLD, by)


def gateway_rise(field: str) -> str:
    """How much a total of `gateway_status` rose in each step; a restart counts from 0 again."""
    by = 'time($__interval), "gateway" fill(none)'
    return _select(f'non_negative_difference(last("{field}"))', series.GATEWAY_STATUS, _TOLD, by)


def zone_values() -> str:
    """Zones that have members, or live figures before their first quarter-hour: the values of `$zone`."""
    measurements = f'"{series.MEMBER}", "{series.GROUP_LIVE}"'
    return f'SHOW TAG VALUES FROM {measurements} WITH KEY = "group" WHERE "level" = \'{Level.ZONE}\''


def meter_values() -> str:
    """Meters of the chosen zones: the values of `$meter`."""
    return (
        f'SHOW TAG VALUES FROM "{series.MEMBER}" WITH KEY = "meter"'
        f' WHERE "level" = \'{MemberLevel.ZONE}\' AND "group" =~ /^$zone$/'
    )


def gateway_values() -> str:
    """Gateways that ever sent a status: the values of `$gateway`."""
    return f'SHOW TAG VALUES FROM "{series.GATEWAY_STATUS}" WITH KEY = "gateway"'
