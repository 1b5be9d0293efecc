"""The gateway's service, assembled from its parts: reads meters, delivers their rows.

Contract:
- Each task has a name and an end; when one fails, all end and the service with it (systemd restarts it).
- On SIGTERM or SIGINT: polling stops, rows that were read go to the outbox, acknowledgements are awaited for
  some seconds, the rest is written to the disk, a last status is published, and the connection is closed.
- Each start is an epoch of its own.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Protocol

from edge.batching.assembler import Assembler
from edge.batching.clock import Clock, Stamper, Step
from edge.batching.intake import Accepted, Intake, ignore_accepted
from edge.batching.system_clock import SystemClock
from edge.config.gateway import ClockSource, GatewayConfig
from edge.drivers.polled import Polled
from edge.outbox.outbox import Outbox, OutboxClock, OutboxSettings
from edge.service.systemd import notify
from edge.uplink.delivery import Delivery
from edge.uplink.session import GatewayIdentity, Uplink
from edge.uplink.window import DeliveryWindow
from metering.messages.birth import Birth, MeterFacts
from metering.messages.status import COUNTERS, EpochAccount, Status
from metering.program import stop_signals

_LOGGER = logging.getLogger(__name__)
_UPKEEP_S = 0.25
_EPOCH_BYTES = 8
_SECONDS_PER_DAY = 86_400.0
_BYTES_PER_MB = 1_000_000


class Meters(Protocol):
    """Reads the meters; implemented by `edge.polling.buses.Polling`."""

    @property
    def facts(self) -> Mapping[str, MeterFacts]:
        """What is known of each meter, for the birth."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Totals since the start, for the status."""

    async def run(self) -> None:
        """Poll until cancelled."""


#: Makes the polling; its arguments are called with each poll and with changed facts of meters.
OpenMeters = Callable[[Callable[[Polled], None], Callable[[Mapping[str, MeterFacts]], None]], Meters]


@dataclass(frozen=True, slots=True)
class GatewaySnapshot:
    """The state of the service at one instant, for the local pages; every field is a copy."""

    identity: GatewayIdentity
    connected: bool
    clock: str
    waiting_rows: int
    accounts: tuple[EpochAccount, ...]
    counters: Mapping[str, int]
    outbox_disk_is_usable: bool
    outbox_memory_bytes: int
    outbox_disk_bytes: int
    outstanding: int
    maybe_step: Step | None = None
    broker_problem: str = ""
    disk_problem: str = ""


class Agent:
    """One run of the gateway."""

    def __init__(
        self,
        config: GatewayConfig,
        identity: GatewayIdentity,
        *,
        outbox: Outbox,
        clock: Clock,
        system: SystemClock,
        open_meters: OpenMeters,
        accepted: Accepted,
    ) -> None:
        self._config = config
        self._identity = identity
        self._outbox = outbox
        self._clock = clock
        self._system = system
        self._time_source = clock.source
        self._logged_steps = 0
        self._birth_is_due = False
        self._window = DeliveryWindow(random=random.random)
        self._delivery = Delivery(
            park=config.park,
            gateway=config.gateway,
            outbox=outbox,
            window=self._window,
            monotonic_s=time.monotonic,
            on_ack=lambda ack: self._clock.learn_from_ack(
                time_ms=ack.time_ms,
                round_trip_s=self._window.round_trip_s,
                received_monotonic_ns=time.monotonic_ns(),
            ),
        )
        self._uplink = Uplink(
            identity,
            config.broker,
            outbox=outbox,
            delivery=self._delivery,
            make_birth=self._birth,
            make_status=self._status,
            monotonic_s=time.monotonic,
        )
        self._intake = Intake(
            stamper=Stamper(self._clock),
            assembler=Assembler(gateway=config.gateway, epoch=identity.epoch),
            outbox=outbox,
            monotonic_ns=time.monotonic_ns,
            on_appended=self._delivery.wake,
            on_accepted=accepted,
        )
        self._started_ns = time.monotonic_ns()
        #: When the facts of a meter changed last: since then they describe its device.
        self._learned_ns: dict[str, int] = {}
        self._meters = open_meters(self._intake.take, self._learn)

    def snapshot(self) -> GatewaySnapshot:
        """Return the state; safe from any thread."""
        state = self._outbox.state
        return GatewaySnapshot(
            identity=self._identity,
            connected=self._uplink.is_connected,
            clock=self._clock.source.value,
            waiting_rows=self._intake.waiting_rows,
            accounts=self._outbox.accounts,
            counters=self._counters(),
            outbox_disk_is_usable=state.disk_is_usable,
            outbox_memory_bytes=state.memory_bytes,
            outbox_disk_bytes=state.disk_bytes,
            outstanding=len(self._window),
            maybe_step=self._clock.maybe_step,
            broker_problem=self._uplink.problem,
            disk_problem=state.disk_problem,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until the event is set; then stop in order."""
        _LOGGER.info("gateway %s, epoch %s", self._identity.gateway, self._identity.epoch)
        _LOGGER.info("boot %s, time from %s", self._system.boot_id(), self._clock.source)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            upkeep = group.create_task(self._keep_up(over), name="upkeep")
            uplink = group.create_task(self._uplink.run(), name="uplink")
            intake = group.create_task(self._intake.run(), name="intake")
            polling = group.create_task(self._meters.run(), name="polling")
            await stop.wait()
            notify("STOPPING=1")
            await _end(polling)
            self._intake.end()
            await intake
            self._uplink.leave()
            await uplink
            over.set()
            await upkeep

    async def _keep_up(self, over: asyncio.Event) -> None:
        notify("READY=1")
        while not over.is_set():
            self._clock.observe(self._system.observe())
            if self._clock.source is not self._time_source:
                # The birth carries the time too, and ingest refuses one of 1970.
                self._time_source, self._birth_is_due = self._clock.source, True
            self._log_steps()
            await self._outbox.maintain()
            if self._birth_is_due:
                self._birth_is_due = False
                self._uplink.announce()
            notify("WATCHDOG=1")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_UPKEEP_S):
                    await over.wait()

    def _log_steps(self) -> None:
        maybe_step, steps = self._clock.maybe_step, self._clock.steps
        if maybe_step is not None and steps != self._logged_steps:
            self._logged_steps = steps
            text = "the clock stepped by %+.1f s at %s (steps so far: %d); times of new rows follow it"
            _LOGGER.warning(text, maybe_step.by_s, maybe_step.at, steps)

    def _learn(self, changed: Mapping[str, MeterFacts]) -> None:
        # Facts of several meters change within a second; one birth carries them all.
        self._birth_is_due = True
        # Taken now: the birth may be sent hours later, after the first reads of an exchanged device.
        self._learned_ns.update(dict.fromkeys(changed, time.monotonic_ns()))

    def _dated_facts(self) -> dict[str, MeterFacts]:
        return {
            meter: replace(facts, since_ms=self._since_ms(meter))
            for meter, facts in self._meters.facts.items()
        }

    def _since_ms(self, meter: str) -> int:
        # Before the clock is known the time may be anything; ingest refuses such a birth.
        return max(0, self._clock.wall_ms(self._learned_ns.get(meter, self._started_ns)))

    def _birth(self) -> Birth:
        return Birth(
            gateway=self._identity.gateway,
            epoch=self._identity.epoch,
            time_ms=self._now_ms(),
            software=self._identity.software,
            meters=self._dated_facts(),
        )

    def _status(self, online: bool) -> Status:  # noqa: FBT001 - the only argument of a status
        return Status(
            gateway=self._identity.gateway,
            epoch=self._identity.epoch,
            time_ms=self._now_ms(),
            online=online,
            software=self._identity.software,
            clean_stop=self._outbox.clean_stop,
            accounts=self._outbox.accounts,
            counters=self._counters(),
            clock=self._clock.source.value,
        )

    def _counters(self) -> dict[str, int]:
        outbox = self._outbox.state
        ours = {
            "messages_resent": self._delivery.counters.resent,
            "bytes_sent": self._delivery.counters.bytes_sent,
            "disk_failures": outbox.disk_failures,
            "oldest_held_s": int(outbox.oldest_held_s),
            "clock_steps": self._clock.steps,
        }
        return dict.fromkeys(COUNTERS, 0) | dict(self._meters.counters) | ours

    def _now_ms(self) -> int:
        return self._clock.wall_ms(time.monotonic_ns())


@contextlib.asynccontextmanager
async def agent(
    config: GatewayConfig,
    open_meters: OpenMeters,
    *,
    accepted: Accepted = ignore_accepted,
    system: SystemClock | None = None,
) -> AsyncIterator[Agent]:
    """Yield a gateway with its outbox open."""
    system = system or SystemClock()
    identity = GatewayIdentity(
        park=config.park,
        gateway=config.gateway,
        epoch=secrets.token_hex(_EPOCH_BYTES),
        software=f"zonewise {version('zonewise')}",
    )
    clock = Clock(system.observe(), trusted=config.clock is ClockSource.TRUSTED)
    clocks = OutboxClock(time.monotonic, lambda: clock.wall_ms(time.monotonic_ns()) if clock.is_known else 0)
    async with Outbox(_outbox_settings(config), epoch=identity.epoch, clock=clocks) as outbox:
        yield Agent(
            config,
            identity,
            outbox=outbox,
            clock=clock,
            system=system,
            open_meters=open_meters,
            accepted=accepted,
        )


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    stop_signals.call_on_stop(asyncio.get_running_loop(), stop.set)
    return stop


async def _end(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _outbox_settings(config: GatewayConfig) -> OutboxSettings:
    chosen = config.outbox
    return OutboxSettings(
        path=chosen.path,
        always=chosen.always,
        max_bytes=round(chosen.max_mb * _BYTES_PER_MB),
        max_age_s=chosen.max_days * _SECONDS_PER_DAY,
        spill_after_s=chosen.spill_after_s,
    )
