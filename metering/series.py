"""Names in InfluxDB: databases, measurements, tags and fields. docs/schema.md explains each.

Raw points carry identity only (park, meter); zones and tenants are looked up when figures are derived.
"""

from enum import IntEnum, StrEnum

RAW_SUFFIX = "_raw"
ROLLUP_SUFFIX = "_rollup"

# Raw database, beside one measurement per `metering.quantities.Medium`.
METERS = "meters"
LATE = "late"
QUALITY = "quality"

# Derived database.
METER_15M = "meter_15m"
GROUP_15M = "group_15m"
GROUP_LIVE = "group_live"
MEMBER = "member"
#: The park description by which groups were last derived: field `fingerprint`.
PARK_EDITION = "park_edition"
#: How far the rollup is, for a process that continues from there (`ingest.rollup.series.progress`).
ROLLUP_PROGRESS = "rollup_progress"
EVENT = "event"
GATEWAY_STATUS = "gateway_status"
HISTORY_SUFFIX = "_history"

SLOT_MS = 15 * 60 * 1000
LIVE_MS = 10 * 1000
#: A row that arrives later than this after the end of its slot leaves a `late` point.
LATE_AFTER_MS = 60 * 1000
#: How long a group's slot waits for its meters after its end.
GROUP_GRACE_MS = 5 * 60 * 1000
#: How far back the rollup rereads `late` each time.
LATE_REREAD_MS = 10 * 60 * 1000


class Level(StrEnum):
    """What a group is."""

    PARK = "park"
    ZONE = "zone"
    BUILDING = "building"
    TENANT = "tenant"


class MemberLevel(StrEnum):
    """Levels of `member`, from which dashboards list meters."""

    ZONE = "zone"
    BUILDING = "building"
    TENANT = "tenant"
    GATEWAY = "gateway"
    UNASSIGNED = "unassigned"


class IntervalQuality(IntEnum):
    """Quality of a derived value, best first."""

    MEASURED = 0
    MANUAL = 1
    INTERPOLATED = 2
    ESTIMATED = 3
    SUSPECT = 4
    MISSING = 5


class GroupField(StrEnum):
    """Base names of a group's figures; each also has `_quality` and `_coverage`."""

    ELECTRICITY_USE = "electricity_use_wh"
    ELECTRICITY_IMPORT = "electricity_import_wh"
    ELECTRICITY_EXPORT = "electricity_export_wh"
    ELECTRICITY_GENERATION = "electricity_generation_wh"
    ELECTRICITY_STORAGE_CHARGE = "electricity_storage_charge_wh"
    WATER_USE = "water_use_l"
    GAS_USE = "gas_use_l"
    HEAT_USE = "heat_use_wh"


#: Fields of `group_live`: W and m3/h. Each also has `<name>_coverage` between 0 and 1, `<name>_fresh`,
#: `<name>_expected` and, in place of the figure while some of the meters are silent, `<name>_at_least`.
LIVE_POWER = "power"
LIVE_FLOW = "flow"


def raw_database(park: str) -> str:
    """Database (bucket) of a park's readings."""
    return park + RAW_SUFFIX


def rollup_database(park: str) -> str:
    """Database (bucket) of a park's derived series."""
    return park + ROLLUP_SUFFIX


def quality_field(name: str) -> str:
    """Field that holds the `IntervalQuality` of a derived value."""
    return f"{name}_quality"


def coverage_field(name: str) -> str:
    """Field that holds the share of good slots or meters, 0 to 1."""
    return f"{name}_coverage"


def at_least_field(name: str) -> str:
    """Field of `group_live` that holds the sum of the fresh meters while others are silent."""
    return f"{name}_at_least"


def fresh_field(name: str) -> str:
    """Field of `group_live` that holds the number of meters with a fresh value."""
    return f"{name}_fresh"


def expected_field(name: str) -> str:
    """Field of `group_live` that holds the number of meters in the figure."""
    return f"{name}_expected"
