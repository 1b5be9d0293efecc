"""InfluxQL's quoting. Pure. Names and texts from outside enter a query through here or as `$params`."""

from collections.abc import Mapping


def name(text: str) -> str:
    """Quote a database, measurement, field or tag key."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def text(value: str) -> str:
    """Quote a tag value or another string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def where(tags: Mapping[str, str], *, start_ms: int, stop_ms: int) -> str:
    """Give the condition for tags and a half-open span of time, in UTC milliseconds."""
    conditions = [f"{name(key)} = {text(value)}" for key, value in tags.items()]
    return " AND ".join([*conditions, f"time >= {start_ms}ms", f"time < {stop_ms}ms"])
