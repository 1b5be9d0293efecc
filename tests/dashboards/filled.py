"""A park's databases filled by hand, as docs/schema.md describes them, on a real InfluxDB.

Independent of ingest's rollup on purpose: the dashboards are tested against the documented schema here, and
against what the programs write in the demo (`zonewise-dashboards verify`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboards.model.site import Site
from ingest.store.contract import Store
from ingest.store.line_protocol import encode_point
from metering import series
from metering.messages.status import COUNTERS
from metering.series import GroupField, IntervalQuality, Level, MemberLevel, coverage_field, quality_field

ZONES = ("hall-a", "hall-b")
METERS = {"hall-a": ("a-main", "a-water"), "hall-b": ("b-main", "b-water")}
GATEWAYS = ("gw-1", "gw-2")
LOST = GATEWAYS[1]
DAYS = 3
USE_WH = 1000.0
USE_L = 250.0


@dataclass(frozen=True, slots=True)
class FilledPark:
    """A park whose databases end at `now`."""

    site: Site
    store: Store
    url: str
    now: datetime


def instants(now: datetime, span: timedelta, step: timedelta) -> Iterator[int]:
    moment = now - span
    while moment < now:
        yield int(moment.timestamp() * 1000)
        moment += step


def rollup_lines(park: str, now: datetime) -> Iterator[bytes]:
    # From shortly before local midnight on: a park's first day may have few quarter-hours.
    for at in instants(now, timedelta(days=DAYS, hours=14, minutes=30), timedelta(minutes=15)):
        yield from slot_lines(park, at)
    for at in instants(now, timedelta(hours=1), timedelta(seconds=10)):
        for zone in ZONES:
            fields = live_fields("power", 4e3) | live_fields("flow", 1.0)
            yield encode_point(series.GROUP_LIVE, group_tags(park, Level.ZONE, zone), fields, at)
    for at in instants(now, timedelta(hours=24), timedelta(seconds=30)):
        for gateway in GATEWAYS:
            yield encode_point(series.GATEWAY_STATUS, gateway_tags(park, gateway), gateway_fields(at), at)
    # The last will of one that is lost: a newer point that knows no figures.
    lost = dict.fromkeys(gateway_fields(0), 0)
    yield encode_point(series.GATEWAY_STATUS, gateway_tags(park, LOST), lost, int(now.timestamp() * 1000) - 1)


def live_fields(name: str, value: float) -> dict[str, float | int]:
    return {name: value, f"{name}_coverage": 1.0, f"{name}_fresh": 2, f"{name}_expected": 2}


def gateway_tags(park: str, gateway: str) -> tuple[tuple[str, str], ...]:
    return (("gateway", gateway), ("park", park))


def gateway_fields(at: int) -> dict[str, int]:
    counters = dict.fromkeys(COUNTERS, 0)
    rows = {"read": at // 1000, "stored": at // 1000 - 5, "quarantined": 0, "held": 5, "dropped": 0}
    return {**counters, **rows, "online": 1}


def slot_lines(park: str, at: int) -> Iterator[bytes]:
    groups = [(Level.PARK, park), *((Level.ZONE, zone) for zone in ZONES)]
    for level, group in groups:
        fields: dict[str, float | int] = {}
        for name in GroupField:
            fields[name] = USE_L if name.endswith("_l") else USE_WH
            fields[quality_field(name)] = IntervalQuality.MEASURED.value
            fields[coverage_field(name)] = 1.0
        yield encode_point(series.GROUP_15M, group_tags(park, level, group), fields, at)
    for zone, meters in METERS.items():
        for meter in meters:
            yield from meter_lines(park, zone, meter, at)


def meter_lines(park: str, zone: str, meter: str, at: int) -> Iterator[bytes]:
    fields: dict[str, float | int] = {}
    for name in ("volume_l",) if meter.endswith("water") else ("energy_import_wh", "energy_export_wh"):
        fields |= {name: USE_WH, quality_field(name): 0, coverage_field(name): 1.0}
    yield encode_point(series.METER_15M, (("meter", meter), ("park", park)), fields, at)
    for level, group in ((MemberLevel.ZONE, zone), (MemberLevel.GATEWAY, GATEWAYS[0])):
        tags = (("group", group), ("level", str(level)), ("meter", meter), ("park", park))
        yield encode_point(series.MEMBER, tags, {"id": meter}, at)


def raw_lines(park: str, now: datetime) -> Iterator[bytes]:
    long_ago = int((now - timedelta(days=90)).timestamp() * 1000)
    for meters in METERS.values():
        for meter in meters:
            announcer = (("gateway", GATEWAYS[0]), ("meter", meter), ("park", park))
            fields: dict[str, float | str] = {"model": "eastron-sdm630", "serial": "1", "poll_s": 60.0}
            yield encode_point(series.METERS, announcer, fields, long_ago)
    for at in instants(now, timedelta(hours=2), timedelta(seconds=60)):
        for meters in METERS.values():
            for meter in meters:
                tags = (("meter", meter), ("park", park))
                if meter.endswith("water"):
                    yield encode_point("water", tags, {"quality": 0, "volume_l": 1e6}, at)
                else:
                    read = {"quality": 0, "active_power_w": 2e3, "energy_import_wh": 1e6}
                    yield encode_point("electricity", tags, read, at)


def group_tags(park: str, level: Level, group: str) -> tuple[tuple[str, str], ...]:
    return (("group", group), ("level", str(level)), ("park", park))
