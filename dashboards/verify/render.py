"""Turns a panel's query into the text that Grafana sends for a time range. Pure.

Source: `pkg/tsdb/influxdb/influxql` (macros) and `datasource.ts` (`interpolateVariable`) of Grafana: several
values of a variable become `(a|b)` with regular-expression characters escaped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dashboards.model.panel import Panel

_SPAN = re.compile(r"(?:now-)?(\d+)([smhd])")
_MACRO = re.compile(r"\$(\w+)")
_UNIT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
#: Widths of steps like those Grafana rounds to (`rangeutil.roundInterval`), in seconds.
_STEPS_S = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_POINTS = 1000


@dataclass(frozen=True, slots=True)
class Range:
    """A time range; both ends belong to it, as in Grafana."""

    start: datetime
    stop: datetime


def parse_span(text: str) -> timedelta:
    """Read `15m`, `7d` or `now-7d`.

    Raises:
        ValueError: for anything else.
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a span of time such as 15m or now-7d")
    return timedelta(**{_UNIT[match[2]]: int(match[1])})


def panel_range(panel: Panel, board_since: str, now: datetime, timezone: str) -> Range:
    """Return the range that a panel shows when the dashboard is opened at `now`."""
    if panel.since != "now/d":
        return Range(now - parse_span(panel.since or board_since), now)
    midnight = now.astimezone(ZoneInfo(timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
    if not panel.shift:
        return Range(midnight.astimezone(UTC), now)
    # Wall-clock arithmetic: the day before may have 23 or 25 hours.
    before = midnight - timedelta(days=1)
    return Range(before.astimezone(UTC), midnight.astimezone(UTC) - timedelta(milliseconds=1))


def step(shown: Range, shortest: str) -> str:
    """Return `$__interval`: about a thousand points, never finer than the panel's own interval."""
    wanted = (shown.stop - shown.start).total_seconds() / _POINTS
    floor = parse_span(shortest or "1s").total_seconds()
    rounded = next((step_s for step_s in _STEPS_S if step_s >= wanted), _STEPS_S[-1])
    return f"{int(max(rounded, floor))}s"


def render(text: str, shown: Range, *, interval: str, variables: Mapping[str, Sequence[str]]) -> str:
    """Return InfluxQL with macros and variables replaced.

    Raises:
        ValueError: when the text uses a variable that is not given.
    """
    start, stop = (int(moment.timestamp() * 1000) for moment in (shown.start, shown.stop))

    def replace(match: re.Match[str]) -> str:
        if match[1] == "timeFilter":
            return f"time >= {start}ms and time <= {stop}ms"
        if match[1] == "__interval":
            return interval
        if match[1] not in variables:
            raise ValueError(f"unknown variable ${match[1]} in {text!r}")
        return _interpolate(variables[match[1]])

    # A `$` before `/` ends a regular expression and is followed by no name.
    return _MACRO.sub(replace, text)


def _interpolate(values: Sequence[str]) -> str:
    if len(values) == 1:
        return values[0]
    return "(" + "|".join(re.escape(value) for value in values) + ")"
