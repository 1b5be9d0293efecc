"""Notices about a meter's counters: implausible rises, and exchanged devices.

Each is an event of the meter and, where none of its kind is open, a line in the log.
An event is open for a day after the last of its kind, so that it is seen; then it ends by itself.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ingest.events.open_events import ROLLUP_KINDS, Event, OpenEvents, read_open
from ingest.intervals.counters import CounterSeries
from ingest.intervals.spans import SlotSpan
from ingest.rollup.series.facts import Joint
from ingest.store.contract import Store
from metering.quantities import Quantity
from metering.series import rollup_database

_LOGGER = logging.getLogger(__name__)

IMPLAUSIBLE_RISE, METER_EXCHANGED = ROLLUP_KINDS
_OPEN_FOR_MS = 24 * 60 * 60 * 1000
#: Notices remembered so that each is reported once, though its slot is computed again.
_MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to report about a meter.

    Attributes:
        kind: One of `ROLLUP_KINDS`.
        at_ms: When it happened, UTC.
        parameters: Facts for the event's text.
    """

    kind: str
    meter: str
    at_ms: int
    parameters: Mapping[str, str]

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What makes it the same when it is found again."""
        return self.kind, self.meter, self.at_ms, self.parameters.get("quantity", "")


def rises(meter: str, quantity: Quantity, series: CounterSeries, span: SlotSpan) -> Iterator[Notice]:
    """Yield the rises above the cap that end in a span of slots."""
    for one in series.excesses:
        if span.start_ms <= one.to_ms < span.stop_ms:
            parameters = {
                "meter": meter,
                "quantity": quantity.name,
                "rise": f"{one.rise:,} {quantity.unit}",
                "seconds": f"{(one.to_ms - one.from_ms) / 1000:g}",
                "limit": f"{one.per_h:,} {quantity.unit}",
                "time": _text(one.to_ms),
            }
            yield Notice(IMPLAUSIBLE_RISE, meter, one.to_ms, parameters)


def exchanges(meter: str, joints: Iterable[Joint], span: SlotSpan) -> Iterator[Notice]:
    """Yield the exchanges within a span of slots."""
    for joint in joints:
        if span.start_ms <= joint.at_ms < span.stop_ms:
            parameters = {"meter": meter, "change": joint.change, "time": _text(joint.at_ms)}
            yield Notice(METER_EXCHANGED, meter, joint.at_ms, parameters)


def _text(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class NoticeBoard:
    """Reports each notice of a park once; used by one thread at a time."""

    def __init__(self, store: Store, park: str) -> None:
        self._store = store
        self._park = park
        self._maybe_events: OpenEvents | None = None
        self._reported: dict[tuple[str, str, int, str], None] = {}
        self._unwritten: list[Event] = []
        self.count = 0

    def report(self, notices: Sequence[Notice], now_ms: int) -> None:
        """Raise what is new, end what is a day old, and write the events that are due.

        Raises:
            StoreError: when the store does not do its part; the events are written the next time.
        """
        events = self._maybe_events or self._begin()
        for one in notices:
            if one.key not in self._reported:
                self._remember(one)
                self._raise(events, one, now_ms)
        for kind in ROLLUP_KINDS:
            events.close_older(kind, now_ms - _OPEN_FOR_MS, now_ms)
        self._unwritten += events.take(now_ms)
        if self._unwritten:
            lines = b"\n".join(event.line(self._park) for event in self._unwritten)
            self._store.write(rollup_database(self._park), lines)
            self._unwritten = []

    def _raise(self, events: OpenEvents, one: Notice, now_ms: int) -> None:
        # A meter whose cap is far too low has one at every read: the log has the first.
        if (one.kind, one.meter) not in {(event.kind, event.subject) for event in events.opened()}:
            event = Event(one.kind, one.meter, one.parameters, is_open=True, time_ms=now_ms)
            _LOGGER.warning("park %s: %s", self._park, event.text)
        events.open(one.kind, one.meter, one.parameters, now_ms)

    def _begin(self) -> OpenEvents:
        events = OpenEvents()
        for event in read_open(self._store, self._park, ROLLUP_KINDS):
            events.adopt(event)
        self._maybe_events = events
        return events

    def _remember(self, one: Notice) -> None:
        self.count += 1
        self._reported[one.key] = None
        if len(self._reported) > _MAX_REMEMBERED:
            del self._reported[next(iter(self._reported))]

    @property
    def texts(self) -> tuple[str, ...]:
        """The open events in words."""
        return (
            () if self._maybe_events is None else tuple(event.text for event in self._maybe_events.opened())
        )
