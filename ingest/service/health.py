"""Local pages: `/healthz`, `/status` and `/metrics`, from snapshots of each park.

`/healthz` is 200 while data flow, 503 with one line per problem otherwise.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.receive.accounts import Account
from metering.program.local_http import Page, Routes

_PLAIN = "text/plain; charset=utf-8"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class ParkHealth:
    """How a park fares.

    Attributes:
        problems: What a person should know, one sentence each; empty = well.
        accounts: Rows, by gateway.
        is_connected: Whether the subscriptions stand.
        queued_bytes: In the intake.
        withheld: Messages whose PUBACK is withheld.
        not_taken: Messages that were not taken while the clock was in doubt, since the start.
        rows_ahead: Rows in the quarantine that are validated again when their time has come.
        rows_judged_again: Rows of that kind that were stored, since the start.
        discarded: Messages of which only the packet id was kept, since the start.
        strays: Messages on topics of no gateway, since the start.
        unreadable_statuses: Statuses that could not be read, since the start, by gateway.
        failures: Messages and events that our own code failed on outside validation, since the start.
        bodies: Bodies written to InfluxDB, since the start.
        open_events: Kind and subject of each.
    """

    park: str
    problems: tuple[str, ...]
    accounts: Mapping[str, Account]
    is_connected: bool
    queued_bytes: int
    withheld: int
    discarded: int
    not_taken: int
    rows_ahead: int
    rows_judged_again: int
    strays: int
    unreadable_statuses: Mapping[str, int]
    failures: int
    bodies: int
    open_events: tuple[tuple[str, str], ...]


#: Returns the present health of every park; safe from any thread.
Snapshot = Callable[[], Sequence[ParkHealth]]


def routes(snapshot: Snapshot) -> Routes:
    """Return the pages."""
    registry = CollectorRegistry()
    registry.register(_ParkCollector(snapshot))
    return {
        "/healthz": lambda: _healthz(snapshot()),
        "/status": lambda: Page(orjson.dumps([_object(park) for park in snapshot()])),
        "/metrics": lambda: Page(generate_latest(registry), _PROMETHEUS),
    }


def _healthz(parks: Sequence[ParkHealth]) -> Page:
    problems = [f"{park.park}: {problem}" for park in parks for problem in park.problems]
    if not problems:
        return Page(b"ok\n", _PLAIN)
    return Page("".join(f"{one}\n" for one in problems).encode(), _PLAIN, _UNAVAILABLE)


def _object(park: ParkHealth) -> dict[str, object]:
    return {
        "park": park.park,
        "problems": park.problems,
        "connected": park.is_connected,
        "queued_bytes": park.queued_bytes,
        "withheld": park.withheld,
        "strays": park.strays,
        "unreadable_statuses": park.unreadable_statuses,
        "failures": park.failures,
        "not_taken": park.not_taken,
        "rows_ahead": park.rows_ahead,
        "rows_judged_again": park.rows_judged_again,
        "open_events": park.open_events,
        "gateways": {gateway: _account_object(account) for gateway, account in park.accounts.items()},
    }


def _account_object(account: Account) -> dict[str, object]:
    return {
        "received": account.received,
        "written": account.written,
        "quarantined": dict(account.quarantined),
        "pending": account.pending,
        "messages": account.messages,
        "duplicates": account.duplicates,
        "discarded": account.discarded,
        "held_back": account.held_back,
        "births_refused": account.births_refused,
        "bad_values": _flags(account),
    }


def _flags(account: Account) -> dict[str, int]:
    return {str(flag.name).lower(): count for flag, count in list(account.bad_values.items())}


def _statuses(park: ParkHealth) -> int:
    return sum(park.unreadable_statuses.values())


#: Counters of an account: metric, help, and its figure.
_ROW_COUNTERS: tuple[tuple[str, str, Callable[[Account], int]], ...] = (
    ("rows_received", "Rows received", lambda account: account.received),
    ("rows_written", "Rows written to InfluxDB", lambda account: account.written),
    ("messages_received", "Messages received, resends apart", lambda account: account.messages),
    ("messages_duplicate", "Messages received again", lambda account: account.duplicates),
    (
        "messages_discarded",
        "Messages beyond the gateway's share of the queue; the gateway still holds them",
        lambda account: account.discarded,
    ),
    (
        "messages_held_back",
        "Messages beyond the gateway's quota of the quarantine; the gateway still holds them",
        lambda account: account.held_back,
    ),
    ("births_refused", "Births that could not be used", lambda account: account.births_refused),
)
_PARK_COUNTERS: tuple[tuple[str, str, Callable[[ParkHealth], int]], ...] = (
    ("bodies_written", "Bodies written to InfluxDB", lambda park: park.bodies),
    ("messages_let_go", "Messages beyond the bounds of memory", lambda park: park.discarded),
    ("messages_not_taken", "Messages not taken while the clock was in doubt", lambda park: park.not_taken),
    ("rows_judged_again", "Rows stored that had been ahead", lambda park: park.rows_judged_again),
    ("messages_stray", "Messages on topics of no gateway", lambda park: park.strays),
    ("statuses_unreadable", "Statuses that could not be read", _statuses),
    ("failures", "Messages and events that could not be handled", lambda park: park.failures),
)
_PARK_GAUGES: tuple[tuple[str, str, Callable[[ParkHealth], int]], ...] = (
    ("connected", "Whether the broker is reached", lambda park: int(park.is_connected)),
    ("problems", "Problems that /healthz names", lambda park: len(park.problems)),
    ("events_open", "Open events", lambda park: len(park.open_events)),
    ("intake_bytes", "Bytes in the intake", lambda park: park.queued_bytes),
    ("rows_ahead", "Rows in the quarantine that wait for their time", lambda park: park.rows_ahead),
    ("pubacks_withheld", "Messages whose PUBACK is withheld", lambda park: park.withheld),
)


class _ParkCollector(Collector):
    """Makes metrics from a snapshot when they are asked for; nothing is counted twice."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Return the metrics."""
        parks = self._snapshot()
        for name, text, count in _PARK_COUNTERS:
            yield _filled(CounterMetricFamily(_full(name), text, labels=["park"]), parks, count)
        for name, text, count in _PARK_GAUGES:
            yield _filled(GaugeMetricFamily(_full(name), text, labels=["park"]), parks, count)
        yield from _account_metrics([(park.park, *one) for park in parks for one in park.accounts.items()])


def _full(name: str) -> str:
    return f"zonewise_ingest_{name}"


def _filled(
    metric: CounterMetricFamily | GaugeMetricFamily,
    parks: Sequence[ParkHealth],
    count: Callable[[ParkHealth], int],
) -> Metric:
    for park in parks:
        metric.add_metric([park.park], count(park))
    return metric


def _account_metrics(accounts: Sequence[tuple[str, str, Account]]) -> Iterator[Metric]:
    for name, text, count in _ROW_COUNTERS:
        counter = CounterMetricFamily(_full(name), text, labels=["park", "gateway"])
        for park, gateway, account in accounts:
            counter.add_metric([park, gateway], count(account))
        yield counter
    pending = GaugeMetricFamily(_full("rows_pending"), "Rows on their way", labels=["park", "gateway"])
    quarantined = CounterMetricFamily(
        _full("rows_quarantined"), "Rows in the quarantine", labels=["park", "gateway", "reason"]
    )
    nulled = CounterMetricFamily(
        _full("values_nulled"), "Values that were not believed", labels=["park", "gateway", "why"]
    )
    for park, gateway, account in accounts:
        pending.add_metric([park, gateway], account.pending)
        for reason, rows in list(account.quarantined.items()):
            quarantined.add_metric([park, gateway, reason], rows)
        for why, values in _flags(account).items():
            nulled.add_metric([park, gateway, why], values)
    yield from (pending, quarantined, nulled)
