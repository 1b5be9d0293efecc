"""Runs every panel's query against a live store: a dashboard that shows nothing is a fault.

A panel is rendered as Grafana does when a dashboard is opened; variables are filled by their own queries.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dashboards.model.panel import Board, Panel, Variable
from dashboards.model.queries import Query
from dashboards.model.site import Site, Source
from dashboards.verify.render import Range, panel_range, parse_span, render, step
from ingest.store.contract import Series, Store
from ingest.store.errors import StoreError, StoreUnavailable

#: A quarter-hour is published at the latest this long after its start; "today" is empty before.
_FIRST_SLOT = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one query.

    Attributes:
        board: Key of the dashboard.
        name: Key of the panel with its query's letter, or `$` and the name of a variable.
        series: Series returned.
        values: Values in them that are not null.
        problem: The error of the store, or why there was no query; empty where the store answered.
        excused: Whether no data are expected at this time of the day.
    """

    board: str
    name: str
    series: int = 0
    values: int = 0
    problem: str = ""
    excused: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the query returned values, or is excused."""
        return not self.problem and (self.values > 0 or self.excused)


def verify(board: Board, site: Site, store: Store, *, now: datetime) -> Iterator[Check]:
    """Yield a check per variable and per query of a dashboard.

    Args:
        board: The dashboard.
        site: Its park.
        store: Where the park's databases are.
        now: Time at which the dashboard is opened; with a time zone.

    Raises:
        StoreUnavailable: when the store does not answer, so that no panel can be checked.
    """
    opened = _Opened(board, site, store, now, {choice.name: choice.values[:1] for choice in board.choices})
    for variable in board.variables:
        yield opened.ask_variable(variable)
    for panel in board.panels:
        for i, query in enumerate(panel.queries):
            letter = "" if len(panel.queries) == 1 else f" {chr(ord('A') + i)}"
            yield opened.ask_panel(panel, query, panel.key + letter)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A dashboard that has just been opened; `variables` fills as their queries run."""

    board: Board
    site: Site
    store: Store
    now: datetime
    variables: dict[str, Sequence[str]]

    def ask_variable(self, variable: Variable) -> Check:
        shown = Range(self.now - parse_span(self.board.since), self.now)
        text = render(variable.query, shown, interval="1m", variables=self.variables)
        check, found = self._ask(variable.source, text, f"${variable.name}")
        # SHOW TAG VALUES answers with the columns key and value.
        values = dict.fromkeys(str(row[1]) for series in found for row in series.rows)
        self.variables[variable.name] = tuple(values)
        return check

    def ask_panel(self, panel: Panel, query: Query, name: str) -> Check:
        shown = panel_range(panel, self.board.since, self.now, self.site.timezone)
        text = render(query.text, shown, interval=step(shown, panel.interval), variables=self.variables)
        check, _ = self._ask(query.source, text, name)
        return replace(check, excused=_is_too_early(panel, self.now, self.site))

    def _ask(self, source: Source, text: str, name: str) -> tuple[Check, Sequence[Series]]:
        try:
            found = self.store.query(self.site.database(source), text)
        except StoreUnavailable:
            raise
        except StoreError as error:
            return Check(self.board.key, name, problem=str(error)), ()
        return Check(self.board.key, name, len(found), _count(found)), found


def _count(found: Sequence[Series]) -> int:
    """Values that are not null; the first column is the time."""
    return sum(value is not None for series in found for row in series.rows for value in row[1:])


def _is_too_early(panel: Panel, now: datetime, site: Site) -> bool:
    local = now.astimezone(ZoneInfo(site.timezone))
    since_midnight = timedelta(hours=local.hour, minutes=local.minute)
    return panel.since == "now/d" and not panel.shift and since_midnight < _FIRST_SLOT


def table(checks: Sequence[Check]) -> str:
    """Return a table of checks that fits 80 columns, and below it the errors of the store, once each."""
    lines = [f"{'dashboard':<10}{'panel or variable':<26}{'series':>8}{'values':>10}  result"]
    lines += [
        f"{check.board:<10}{check.name:<26}{check.series:>8}{check.values:>10}  {_result(check)}"
        for check in checks
    ]
    return "\n".join([*lines, *dict.fromkeys(check.problem for check in checks if check.problem)])


def _result(check: Check) -> str:
    if check.problem:
        return "REFUSED"
    if check.values:
        return "ok"
    return "too early in the day" if check.excused else "EMPTY"
