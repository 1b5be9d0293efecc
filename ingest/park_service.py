"""A park while ingest runs: its connection, pipeline, acknowledgements, events and gateway states.

Order of a start: registry from the store, then subscriptions, then "online". Order of a stop: the intake is
closed, what was taken is written and acknowledged (for at most `DRAIN_S`), then "offline". What could not be
drained is unacknowledged, and its gateways send it again.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ingest.accounts import Accounts
from ingest.acks import AckBook
from ingest.deliveries import Deliveries
from ingest.errors import StoreDenied, StoreError
from ingest.events import RUN_KINDS, Event, EventBook, read_open
from ingest.health import ParkHealth
from ingest.intake import Intake
from ingest.judge import Judge
from ingest.pipeline import Park as Parts
from ingest.pipeline import Pipeline
from ingest.registry import Registry, load_registry
from ingest.reports import Reports, encode_status
from ingest.safekeeping import Safekeeping
from ingest.shares import Shares
from ingest.statuses import StatusBook
from ingest.store import Store
from ingest.subscriber import Arrival, Subscriber, Subscription
from ingest.supervision import supervised
from ingest.writer import ParkWriter, Trouble, pause_s
from metering import ack, topics
from metering.ack import Ack
from metering.park import Park
from metering.series import raw_database
from metering.status import Status

_LOGGER = logging.getLogger(__name__)

#: Acknowledgements of this time go out together.
_ACK_EVERY_S = 0.05
_REPORT_EVERY_S = 1.0
#: What a gateway has not done again for so long, it has stopped to do.
_OVER_AFTER_MS = 15 * 60 * 1000
_OVER_WHEN_NOT_REPEATED = ("foreign_meter", "quarantine_full", "too_many_messages", "wrong_medium")
DRAIN_S = 10.0


def wall_clock_ms() -> int:
    """Give the time, UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all parks of a process share."""

    store: Store
    safekeeping: Safekeeping
    instance: str
    clock_ms: Callable[[], int] = wall_clock_ms
    dice: Callable[[], float] = random.random


class ParkService:
    """Runs one park; hears its subscriber."""

    def __init__(self, park: Park, subscription: Subscription, around: Surroundings) -> None:
        self._park = park
        self._around = around
        self._subscriber = Subscriber(subscription, self, clock_ms=around.clock_ms)
        self._events = EventBook()
        self._accounts = Accounts()
        self._acks = AckBook()
        self._intake = Intake(self._subscriber.puback)
        self._reports = Reports(around.store, park.id)
        self._writer = ParkWriter(
            around.store,
            park.id,
            instance=around.instance,
            events=self._events,
            clock_ms=around.clock_ms,
            dice=around.dice,
        )
        self._maybe_pipeline: Pipeline | None = None
        self._maybe_load_error: StoreError | None = None
        self._is_connected = False
        self._statuses = StatusBook()
        self._strays = 0
        self._failures = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop."""
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell(), name=f"tell-{self._park.id}")
            reporting = tasks.create_task(self._report(), name=f"report-{self._park.id}")
            maybe_registry = await self._load_registry(stopping)
            if maybe_registry is not None:
                await self._work(maybe_registry, stopping)
            telling.cancel()
            reporting.cancel()
        self._send_acks()
        await self._subscriber.stop()

    async def _work(self, registry: Registry, stopping: asyncio.Event) -> None:
        pipeline = self._maybe_pipeline = Pipeline(
            self._parts(registry), clock_ms=self._around.clock_ms, dice=self._around.dice
        )
        self._subscriber.start()
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(pipeline.run(), name=f"pipeline-{self._park.id}")
            await stopping.wait()
            self._intake.close()
            await asyncio.wait({working}, timeout=DRAIN_S)
            if not working.done():
                _LOGGER.warning("%s: not everything could be drained; it stays unacknowledged", self._park.id)
            working.cancel()

    def _parts(self, registry: Registry) -> Parts:
        return Parts(
            id=self._park.id,
            judge=Judge(self._park, registry),
            writer=self._writer,
            safekeeping=self._around.safekeeping,
            events=self._events,
            accounts=self._accounts,
            acks=self._acks,
            deliveries=Deliveries(),
            shares=Shares(),
            intake=self._intake,
        )

    async def _load_registry(self, stopping: asyncio.Event) -> Registry | None:
        """Ask the store until it answers; `None` when told to stop before."""
        attempt = 0
        database = raw_database(self._park.id)
        while not stopping.is_set():
            try:
                registry = await asyncio.to_thread(load_registry, self._around.store, self._park)
            except StoreError as error:
                self._note_load_error(error, database)
                await _wait(stopping, pause_s(attempt, self._around.dice()))
                attempt += 1
            else:
                self._maybe_load_error = None
                await self._adopt_events()
                self._events.close("store_denied", database, self._around.clock_ms())
                return registry
        return None

    async def _adopt_events(self) -> None:
        try:
            store, park = self._around.store, self._park.id
            for event in await asyncio.to_thread(read_open, store, park, RUN_KINDS):
                self._events.adopt(event)
        except StoreError as error:
            _LOGGER.warning("%s: events of before are not known: %s", self._park.id, error)

    def _note_load_error(self, error: StoreError, database: str) -> None:
        if type(error) is not type(self._maybe_load_error):
            _LOGGER.warning("%s: waits to start: %s", self._park.id, error)
        self._maybe_load_error = error
        if isinstance(error, StoreDenied):
            parameters = {"database": database, "error": str(error)}
            self._events.open("store_denied", database, parameters, self._around.clock_ms())

    # -- the subscriber's listener ------------------------------------------------------------------

    def arrived(self, arrival: Arrival) -> None:
        """Take a message of a gateway."""
        supervised(str(arrival.topic), partial(self._take, arrival), partial(self._set_aside, arrival))

    def _take(self, arrival: Arrival) -> None:
        if arrival.topic.kind == "status":
            self._statuses.note(arrival)
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

    # -- telling others -----------------------------------------------------------------------------

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(_ACK_EVERY_S)
            self._send_acks()

    def _send_acks(self) -> None:
        if not self._acks:
            return
        for gateway, one in self._acks.take(self._around.clock_ms()):
            supervised(
                f"acknowledgement to {gateway}", partial(self._send_ack, gateway, one), self._note_failure
            )

    def _send_ack(self, gateway: str, one: Ack) -> None:
        self._subscriber.publish(topics.ack(self._park.id, gateway), ack.encode(one))

    async def _report(self) -> None:
        while True:
            now_ms = self._around.clock_ms()
            for told, received_at_ms in self._statuses.take():
                work = partial(self._tell_status, told, received_at_ms)
                supervised(f"status of {told.gateway}", work, partial(self._statuses.refuse, told.gateway))
            for kind in _OVER_WHEN_NOT_REPEATED:
                self._events.close_older(kind, now_ms - _OVER_AFTER_MS, now_ms)
            for event in self._events.take(now_ms):
                supervised(f"event {event.kind}", partial(self._tell_event, event), self._note_failure)
            await self._reports.write()
            await asyncio.sleep(_REPORT_EVERY_S)

    def _tell_status(self, told: Status, received_at_ms: int) -> None:
        self._reports.add(encode_status(self._park.id, told, received_at_ms))
        # Time 0 is the last will's; a clean stop is no event.
        if told.online or told.time_ms:
            self._events.close("gateway_offline", told.gateway, received_at_ms)
        else:
            parameters = {"gateway": told.gateway}
            self._events.open("gateway_offline", told.gateway, parameters, received_at_ms)

    def _tell_event(self, event: Event) -> None:
        self._reports.add(event.line(self._park.id))
        topic = topics.ingest_event(self._park.id, self._around.instance)
        self._subscriber.publish(topic, event.body())

    def health(self) -> ParkHealth:
        """Give a snapshot; safe from any thread."""
        return ParkHealth(
            park=self._park.id,
            problems=tuple(self._problems()),
            accounts=self._accounts.snapshot(),
            is_connected=self._is_connected,
            queued_bytes=self._intake.queued_bytes,
            withheld=self._intake.withheld,
            let_go=self._intake.let_go,
            strays=self._strays,
            unreadable_statuses=self._statuses.unreadable,
            failures=self._failures,
            bodies=self._writer.bodies,
            open_events=tuple((event.kind, event.subject) for event in self._events.opened()),
        )

    def _problems(self) -> list[str]:
        trouble: Trouble | None = self._writer.maybe_trouble
        maybe_pipeline = self._maybe_pipeline
        found = (
            self._maybe_load_error,
            None if trouble is None else trouble.error,
            None if maybe_pipeline is None else maybe_pipeline.maybe_disk_error,
            None if self._is_connected or maybe_pipeline is None else "no connection to the broker",
        )
        full = [event.text for event in self._events.opened() if event.kind == "quarantine_full"]
        return [*(str(one) for one in found if one is not None), *full]


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
