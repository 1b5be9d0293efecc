"""InfluxQL's quoting. Pure. Names and texts from outside enter a query through here or as `$params`."""

from collections.abc import Mapping

#: InfluxDB's times are 64-bit nanoseconds, less a margin of its own (1677-09-21 to 2262-04-11).
EARLIEST_MS = -(2**63) // 1_000_000 + 1
LATEST_MS = 2**63 // 1_000_000 - 1


def within_reach(time_ms: int) -> int:
    """Return the time, or the nearest that InfluxDB knows."""
    return max(EARLIEST_MS, min(time_ms, LATEST_MS))


def name(text: str) -> str:
    """Quote a database, measurement, field or tag key."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def text(value: str) -> str:
    """Quote a tag value or another string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def where(tags: Mapping[str, str], *, start_ms: int, stop_ms: int) -> str:
    """Return the condition for tags and a half-open span of time, in UTC milliseconds."""
    conditions = [f"{name(key)} = {text(value)}" for key, value in tags.items()]
    span = [f"time >= {within_reach(start_ms)}ms", f"time < {within_reach(stop_ms)}ms"]
    return " AND ".join([*conditions, *span])
