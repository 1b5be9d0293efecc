"""A park while ingest runs: its connection, pipeline, acknowledgements, events and gateway states.

Order of a start: registry from the store, then subscriptions, then "online". Order of a stop: the intake is
closed, what was taken is written and acknowledged (for at most `DRAIN_S`), then "offline". What could not be
drained is unacknowledged, and its gateways send it again.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ingest.backoff import pause_s
from ingest.clock.clocks import Clocks
from ingest.clock.rules import ClockGuard, latest_time_ms
from ingest.events.open_events import RUN_KINDS, Event, OpenEvents, read_open
from ingest.events.reports import Reports, encode_status
from ingest.journal.journal_and_quarantine import JournalAndQuarantine
from ingest.pipeline.ahead import Ahead
from ingest.pipeline.pipeline import ParkParts, Pipeline
from ingest.pipeline.revalidation import Revalidation
from ingest.pipeline.writer import ParkWriter, Trouble
from ingest.receive.accounts import Accounts
from ingest.receive.acks import PendingAcks
from ingest.receive.deliveries import Deliveries
from ingest.receive.intake import Intake
from ingest.receive.shares import Shares
from ingest.receive.statuses import NewestStatuses
from ingest.receive.subscriber import Arrival, Subscriber, Subscription
from ingest.receive.supervision import supervised
from ingest.service.health import ParkHealth
from ingest.store.contract import Store
from ingest.store.errors import StoreDenied, StoreError
from ingest.validation.messages import MessageValidator
from ingest.validation.registry import Registry
from ingest.validation.stored_registry import load_registry
from metering.messages import ack, topics
from metering.messages.ack import Ack
from metering.messages.status import Status
from metering.park.model import Park
from metering.series import raw_database

_LOGGER = logging.getLogger(__name__)
T = TypeVar("T")

#: Acknowledgements of this time go out together.
_ACK_EVERY_S = 0.05
_REPORT_EVERY_S = 1.0
#: An event that was not opened again for this long is closed.
_CLOSE_AFTER_MS = 15 * 60 * 1000
_CLOSED_WHEN_NOT_REPEATED = ("foreign_meter", "quarantine_full", "too_many_messages", "wrong_medium")
DRAIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedResources:
    """What all parks of a process share."""

    store: Store
    journal_and_quarantine: JournalAndQuarantine
    instance: str
    clocks: Clocks
    guard: ClockGuard
    jitter: Callable[[], float] = random.random

    def clock_ms(self) -> int:
        """Return the time, UTC milliseconds since 1970."""
        return self.clocks.wall_ms()

    def doubts_clock(self) -> bool:
        """Return whether the clock is in doubt now: checks again when it was just set."""
        seen = self.clocks.see()
        if self.guard.has_jumped(seen):
            self.guard.observe(seen)
        return self.guard.maybe_doubt is not None


class ParkService:
    """Runs one park; the listener of its subscriber."""

    def __init__(self, park: Park, subscription: Subscription, shared: SharedResources) -> None:
        self._park = park
        self._shared = shared
        #: What is wrong with the edited park descriptions; empty = nothing.
        self.edit_problem = ""
        self._subscriber = Subscriber(subscription, self, clock_ms=shared.clock_ms)
        self._events = OpenEvents()
        self._accounts = Accounts()
        self._acks = PendingAcks()
        self._intake = Intake(self._subscriber.puback)
        self._reports = Reports(shared.store, park.id)
        self._writer = ParkWriter(
            shared.store,
            park.id,
            instance=shared.instance,
            events=self._events,
            clock_ms=shared.clock_ms,
            jitter=shared.jitter,
            since_ms=latest_time_ms(
                shared.journal_and_quarantine.maybe_newest_ms(park.id), shared.clock_ms()
            ),
        )
        self._ahead = Ahead()
        self._maybe_revalidation: Revalidation | None = None
        self._is_holding = False
        self._not_taken = 0
        self._maybe_pipeline: Pipeline | None = None
        self._maybe_load_error: StoreError | None = None
        self._is_connected = False
        self._statuses = NewestStatuses()
        self._strays = 0
        self._failures = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set."""
        async with asyncio.TaskGroup() as tasks:
            acknowledging = tasks.create_task(self._acknowledge(), name=f"acknowledge-{self._park.id}")
            reporting = tasks.create_task(self._report(), name=f"report-{self._park.id}")
            maybe_registry = await self._load_registry(stopping)
            if maybe_registry is not None:
                await self._work(maybe_registry, stopping)
            acknowledging.cancel()
            reporting.cancel()
        self._send_acks()
        await self._subscriber.stop()

    def change_park(self, park: Park) -> None:
        """Use another edition of the park's description."""
        self._park = park
        if self._maybe_pipeline is not None:
            self._maybe_pipeline.change_park(park)

    async def _work(self, registry: Registry, stopping: asyncio.Event) -> None:
        pipeline = self._maybe_pipeline = Pipeline(
            self._parts(registry), clock_ms=self._shared.clock_ms, jitter=self._shared.jitter
        )
        pipeline.change_park(self._park)  # edited while the registry was read
        again = self._maybe_revalidation = self._revalidation(pipeline)
        self._subscriber.start()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(again.run(), name=f"ahead-{self._park.id}")
            working = tasks.create_task(pipeline.run(), name=f"pipeline-{self._park.id}")
            await stopping.wait()
            self._intake.close()
            await asyncio.wait({working}, timeout=DRAIN_S)
            if not working.done():
                _LOGGER.warning("%s: not everything could be drained; it stays unacknowledged", self._park.id)
            working.cancel()
            waiting.cancel()

    def _revalidation(self, pipeline: Pipeline) -> Revalidation:
        shared = self._shared
        return Revalidation(
            self._park.id,
            self._ahead,
            pipeline=pipeline,
            writer=self._writer,
            journal_and_quarantine=shared.journal_and_quarantine,
            maybe_now_ms=lambda: None if shared.doubts_clock() else shared.clock_ms(),
        )

    def follow_clock(self) -> None:
        """Hold while the clock is in doubt, resume when it is not; called after each check of the clock."""
        maybe_doubt, now_ms = self._shared.guard.maybe_doubt, self._shared.clock_ms()
        if maybe_doubt is not None:
            self._events.open("clock_doubted", self._shared.instance, {"problem": maybe_doubt}, now_ms)
        else:  # also one that a former process has left open
            self._events.close("clock_doubted", self._shared.instance, now_ms)
        if (maybe_doubt is not None) is self._is_holding:
            return
        self._is_holding = maybe_doubt is not None
        if self._is_holding:
            self._subscriber.hold()
        else:
            self._subscriber.resume()

    def _parts(self, registry: Registry) -> ParkParts:
        return ParkParts(
            id=self._park.id,
            validator=MessageValidator(self._park, registry),
            writer=self._writer,
            journal_and_quarantine=self._shared.journal_and_quarantine,
            events=self._events,
            accounts=self._accounts,
            acks=self._acks,
            deliveries=Deliveries(),
            shares=Shares(),
            intake=self._intake,
            ahead=self._ahead,
        )

    async def _load_registry(self, stopping: asyncio.Event) -> Registry | None:
        """Read the store until it answers; `None` when `stopping` is set before."""
        failures = 0
        database = raw_database(self._park.id)
        while not stopping.is_set():
            try:
                loading = asyncio.to_thread(load_registry, self._shared.store, self._park)
                maybe_registry = await _maybe_until(stopping, loading)
            except StoreError as error:
                self._note_load_error(error, database)
                failures += 1
                await _wait(stopping, pause_s(failures, self._shared.jitter()))
            else:
                self._maybe_load_error = None
                if maybe_registry is None:
                    break
                await self._adopt_events(stopping)
                self._events.close("store_denied", database, self._shared.clock_ms())
                return maybe_registry
        return None

    async def _adopt_events(self, stopping: asyncio.Event) -> None:
        reading = asyncio.to_thread(read_open, self._shared.store, self._park.id, RUN_KINDS)
        try:
            for event in await _maybe_until(stopping, reading) or ():
                self._events.adopt(event)
        except StoreError as error:
            _LOGGER.warning("%s: events of a former process cannot be read: %s", self._park.id, error)

    def _note_load_error(self, error: StoreError, database: str) -> None:
        if type(error) is not type(self._maybe_load_error):
            _LOGGER.warning("%s: waits to start: %s", self._park.id, error)
        self._maybe_load_error = error
        if isinstance(error, StoreDenied):
            parameters = {"database": database, "error": str(error)}
            self._events.open("store_denied", database, parameters, self._shared.clock_ms())

    # -- the subscriber's listener ------------------------------------------------------------------

    def arrived(self, arrival: Arrival) -> None:
        """Take a message of a gateway."""
        supervised(str(arrival.topic), partial(self._take, arrival), partial(self._set_aside, arrival))

    def _take(self, arrival: Arrival) -> None:
        if arrival.topic.kind == "status":
            maybe_status = self._statuses.note(arrival)
            if maybe_status is not None and not arrival.retained:  # a retained one is of some time ago
                self._vote(maybe_status)
            self._subscriber.puback(arrival)
        elif self._shared.doubts_clock():
            # Its gateway keeps what is not acknowledged end to end; births are retained.
            self._not_taken += 1
            self._subscriber.puback(arrival)
        elif self._maybe_pipeline is not None:
            self._maybe_pipeline.arrived(arrival, self._subscriber.puback)

    def _set_aside(self, arrival: Arrival, error: Exception) -> None:
        self._note_failure(error)
        # Without it the broker would send one message less for as long as the connection lasts.
        self._subscriber.puback(arrival)

    def _note_failure(self, _error: Exception) -> None:
        self._failures += 1

    def stray(self, topic: str) -> None:
        """Count a message on a topic that is no gateway's."""
        self._strays += 1
        _LOGGER.debug("%r is no gateway's topic", topic)

    def link(self, *, is_up: bool) -> None:
        """Note whether the subscriptions stand."""
        self._is_connected = is_up
        _LOGGER.info("%s: broker %s", self._park.id, "connected" if is_up else "connection lost")

    def _vote(self, status: Status) -> None:
        """Compare this machine's clock with a gateway's."""
        self._shared.guard.take_vote(
            self._park.id,
            status.gateway,
            clock=status.clock,
            time_ms=status.time_ms,
            seen=self._shared.clocks.see(),
        )

    # -- acknowledgements and reports ---------------------------------------------------------------

    async def _acknowledge(self) -> None:
        while True:
            await asyncio.sleep(_ACK_EVERY_S)
            self._send_acks()

    def _send_acks(self) -> None:
        # An acknowledgement carries the time, by which gateways without a clock set theirs.
        if not self._acks or self._shared.doubts_clock():
            return
        for gateway, one in self._acks.take(self._shared.clock_ms()):
            supervised(
                f"acknowledgement to {gateway}", partial(self._send_ack, gateway, one), self._note_failure
            )

    def _send_ack(self, gateway: str, one: Ack) -> None:
        self._subscriber.publish(topics.ack(self._park.id, gateway), ack.encode(one))

    async def _report(self) -> None:
        while True:
            now_ms = self._shared.clock_ms()
            # In doubt they would be stored under a wrong time; after the doubt all come again, retained.
            for status, received_at_ms in () if self._shared.doubts_clock() else self._statuses.take():
                work = partial(self._report_status, status, received_at_ms)
                supervised(
                    f"status of {status.gateway}", work, partial(self._statuses.refuse, status.gateway)
                )
            for kind in _CLOSED_WHEN_NOT_REPEATED:
                self._events.close_older(kind, now_ms - _CLOSE_AFTER_MS, now_ms)
            for event in self._events.take(now_ms):
                supervised(f"event {event.kind}", partial(self._report_event, event), self._note_failure)
            await self._reports.write()
            await asyncio.sleep(_REPORT_EVERY_S)

    def _report_status(self, status: Status, received_at_ms: int) -> None:
        self._reports.add(encode_status(self._park.id, status, received_at_ms))
        # Time 0 is the last will's; a clean stop is no event.
        if status.online or status.time_ms:
            self._events.close("gateway_offline", status.gateway, received_at_ms)
        else:
            parameters = {"gateway": status.gateway}
            self._events.open("gateway_offline", status.gateway, parameters, received_at_ms)

    def _report_event(self, event: Event) -> None:
        self._reports.add(event.line(self._park.id))
        topic = topics.ingest_event(self._park.id, self._shared.instance)
        self._subscriber.publish(topic, event.body())

    def health(self) -> ParkHealth:
        """Return a snapshot; safe from any thread."""
        return ParkHealth(
            park=self._park.id,
            problems=tuple(self._problems()),
            accounts=self._accounts.snapshot(),
            is_connected=self._is_connected,
            queued_bytes=self._intake.queued_bytes,
            withheld=self._intake.withheld,
            discarded=self._intake.discarded,
            not_taken=self._not_taken,
            rows_ahead=self._ahead.rows,
            rows_judged_again=0 if self._maybe_revalidation is None else self._maybe_revalidation.rows_stored,
            strays=self._strays,
            unreadable_statuses=self._statuses.unreadable,
            failures=self._failures,
            bodies=self._writer.bodies,
            open_events=tuple((event.kind, event.subject) for event in self._events.opened()),
        )

    def _problems(self) -> list[str]:
        trouble: Trouble | None = self._writer.maybe_trouble
        maybe_pipeline = self._maybe_pipeline
        is_loading = maybe_pipeline is None and self._maybe_load_error is None
        found = (
            self._shared.guard.maybe_doubt,
            self._maybe_load_error,
            None if trouble is None else trouble.error,
            None if maybe_pipeline is None else maybe_pipeline.maybe_disk_error,
            None if self._is_connected or maybe_pipeline is None else "no connection to the broker",
            "starting: InfluxDB has not answered yet" if is_loading else None,
            self.edit_problem or None,
        )
        full = [event.text for event in self._events.opened() if event.kind == "quarantine_full"]
        return [*(str(one) for one in found if one is not None), *full]


async def _maybe_until(stopping: asyncio.Event, work: Coroutine[None, None, T]) -> T | None:
    """Return the result of work in a thread; `None` when `stopping` is set before, without waiting for it."""
    working, stop = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if working.done():
        return working.result()
    working.cancel()
    return None


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
