"""The open events of a park: opened, repeated while they last, closed.

Invariants:
- An event is known by its kind and subject. Opening an open one only refreshes its parameters.
- Each change, and each repetition every 15 min, is a point of `event` in the park's rollup database: `state`
  1 while open, 0 at the end. Grafana's alert rules watch `state`; thresholds are decided here alone.
- `OpenEvents` does no I/O: `take` returns what is to be written and published.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import orjson

from ingest.events.texts import event_text
from ingest.store.contract import Store
from ingest.store.line_protocol import Field, encode_point
from metering.series import EVENT, rollup_database

#: An open event is written again after this time.
REPEAT_MS = 15 * 60 * 1000
#: Kinds of events of `run`.
RUN_KINDS = (
    "birth_refused",
    "clock_doubted",
    "foreign_meter",
    "gateway_offline",
    "journal_failed",
    "quarantine_full",
    "store_denied",
    "store_unavailable",
    "too_many_messages",
    "wrong_medium",
)
#: Kinds of events of `rollup`.
ROLLUP_KINDS = ("implausible_rise", "meter_exchanged")
#: Nothing else may be a kind: each has a text in every catalogue.
KINDS = (*RUN_KINDS, *ROLLUP_KINDS)
#: Points that wait to be written; the oldest go first, as a later one repeats the state.
_MAX_WAITING = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """A condition that a person should know of, at a time.

    Attributes:
        kind: One of `KINDS`.
        subject: What it is about: a gateway, a database, a path.
        parameters: Facts for the text.
        is_open: False at its end.
        time_ms: UTC.
    """

    kind: str
    subject: str
    parameters: Mapping[str, str]
    is_open: bool
    time_ms: int

    @property
    def text(self) -> str:
        """The event in English."""
        return event_text(self.kind, self.parameters)

    def line(self, park: str) -> bytes:
        """Return the line of the point in `event`."""
        fields: dict[str, Field | None] = {
            "state": int(self.is_open),
            "parameters": orjson.dumps(dict(self.parameters)).decode(),
            "text_en": self.text.replace("\n", " "),
        }
        tags = (("kind", self.kind), ("park", park), ("subject", self.subject))
        return encode_point(EVENT, tags, fields, self.time_ms)

    def body(self) -> bytes:
        """Return the body for the topic of events."""
        return orjson.dumps(
            {
                "schema": 1,
                "time_ms": self.time_ms,
                "kind": self.kind,
                "subject": self.subject,
                "state": int(self.is_open),
                "parameters": dict(self.parameters),
                "text": self.text,
            }
        )


class OpenEvents:
    """A park's open events; read by any thread, changed by one."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Event] = {}
        self._repeat_at_ms: dict[tuple[str, str], int] = {}
        self._waiting: list[Event] = []

    def open(self, kind: str, subject: str, parameters: Mapping[str, str], now_ms: int) -> bool:
        """Open an event, or refresh an open one; true when it was not open."""
        key = (kind, subject)
        event = Event(kind, subject, parameters, is_open=True, time_ms=now_ms)
        is_new = key not in self._open
        if is_new:
            self._note(event)
        self._open[key] = event
        return is_new

    def adopt(self, event: Event) -> None:
        """Take over an event that a former process has left open."""
        self._open.setdefault((event.kind, event.subject), event)
        self._repeat_at_ms.setdefault((event.kind, event.subject), event.time_ms + REPEAT_MS)

    def close(self, kind: str, subject: str, now_ms: int) -> None:
        """Close an event; does nothing when it is not open."""
        maybe_event = self._open.pop((kind, subject), None)
        if maybe_event is not None:
            self._note(replace(maybe_event, is_open=False, time_ms=now_ms))

    def _note(self, event: Event) -> None:
        self._repeat_at_ms[event.kind, event.subject] = event.time_ms + REPEAT_MS
        self._waiting = [*self._waiting, event][-_MAX_WAITING:]

    def close_older(self, kind: str, before_ms: int, now_ms: int) -> None:
        """Close the events of a kind that were not opened again since an instant."""
        for event in self.opened():
            if event.kind == kind and event.time_ms < before_ms:
                self.close(kind, event.subject, now_ms)

    def take(self, now_ms: int) -> list[Event]:
        """Return what is to be written now: changes, and open events whose repetition is due."""
        for key, event in self._open.items():
            if now_ms >= self._repeat_at_ms[key]:
                self._note(replace(event, time_ms=now_ms))
        taken, self._waiting = self._waiting, []
        return taken

    def opened(self) -> tuple[Event, ...]:
        """Return the open events."""
        return tuple(self._open.values())


def read_open(store: Store, park: str, kinds: Collection[str]) -> list[Event]:
    """Return the events of a park, of some kinds, that are open by their last point.

    Raises:
        StoreError: when the store cannot be read.
    """
    last = f'SELECT last("state") AS "state", "parameters" FROM "{EVENT}" GROUP BY "kind", "subject"'
    return [
        Event(
            kind=series.tags["kind"],
            subject=series.tags["subject"],
            parameters=_parameters(parameters),
            is_open=True,
            time_ms=time_ms,
        )
        for series in store.query(rollup_database(park), last)
        for time_ms, state, parameters in series.rows
        if state and series.tags["kind"] in kinds
    ]


def _parameters(stored: object) -> Mapping[str, str]:
    try:
        parsed = orjson.loads(str(stored))
    except orjson.JSONDecodeError:
        return {}
    return {key: str(value) for key, value in parsed.items()} if isinstance(parsed, dict) else {}
