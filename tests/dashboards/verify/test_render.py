"""A query rendered as Grafana would send it."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboards.model.panel import Panel, View
from dashboards.model.queries import Query
from dashboards.model.site import Source
from dashboards.verify.render import Range, panel_range, parse_span, render, step

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)
ZONE = "Europe/Ljubljana"


def panel(since: str = "", shift: str = "") -> Panel:
    return Panel(
        1, "demand", View.STAT, "watt", (Query(Source.ROLLUP, "SELECT 1"),), since=since, shift=shift
    )


def test_macros_and_variables_are_replaced() -> None:
    shown = Range(NOW - timedelta(seconds=1), NOW)
    text = 'SELECT x FROM y WHERE "group" =~ /^$zone$/ AND $timeFilter GROUP BY time($__interval)'

    assert render(text, shown, interval="60s", variables={"zone": ("a", "b-1")}) == (
        'SELECT x FROM y WHERE "group" =~ /^(a|b\\-1)$/ AND '
        "time >= 1774864799000ms and time <= 1774864800000ms GROUP BY time(60s)"
    )


def test_one_value_stands_alone() -> None:
    shown = Range(NOW, NOW)

    assert render("time($bin)", shown, interval="1s", variables={"bin": ("15m",)}) == "time(15m)"


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"\$tenant"):
        render("/^$tenant$/", Range(NOW, NOW), interval="1s", variables={})


def test_a_panel_follows_its_dashboard() -> None:
    assert panel_range(panel(), "now-7d", NOW, ZONE) == Range(NOW - timedelta(days=7), NOW)


def test_a_panel_may_have_a_range_of_its_own() -> None:
    assert panel_range(panel("5m"), "now-7d", NOW, ZONE) == Range(NOW - timedelta(minutes=5), NOW)


def test_today_begins_at_the_parks_midnight() -> None:
    assert panel_range(panel("now/d"), "now-7d", NOW, ZONE).start == datetime(2026, 3, 29, 22, 0, tzinfo=UTC)


def test_yesterday_has_23_hours_when_the_clock_goes_forward() -> None:
    """29 March 2026, Europe/Ljubljana."""
    yesterday = panel_range(panel("now/d", "1d/d"), "now-7d", NOW, ZONE)

    assert yesterday.start == datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert yesterday.stop - yesterday.start == timedelta(hours=23) - timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("span", "shortest", "expected"),
    [
        (timedelta(hours=1), "10s", "10s"),
        (timedelta(days=7), "15m", "900s"),
        (timedelta(days=60), "15m", "7200s"),
        (timedelta(minutes=1), "", "1s"),
    ],
)
def test_steps_are_never_finer_than_the_data(span: timedelta, shortest: str, expected: str) -> None:
    assert step(Range(NOW - span, NOW), shortest) == expected


@pytest.mark.parametrize("text", ["", "7", "now", "now/w", "7y", "-7d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="span of time"):
        parse_span(text)
