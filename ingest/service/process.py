"""The process of `zonewise-ingest run`: journal and store opened, one `ParkService` per park, clean stop."""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from ingest.clock.clocks import Clocks, open_guard
from ingest.config import IngestConfig, QuarantineConfig
from ingest.journal.journal import Journal
from ingest.journal.journal_and_quarantine import JournalAndQuarantine
from ingest.journal.quarantine import Quarantine, QuarantineLimits
from ingest.receive.subscriber import Subscription
from ingest.service.health import routes
from ingest.service.park import ParkService, SharedResources
from ingest.store.influx import open_store
from metering.errors import ConfigError
from metering.park.folder import DescriptionsFolder
from metering.park.model import Park
from metering.program import stop_signals
from metering.program.local_http import serving

_LOGGER = logging.getLogger(__name__)
_EXPIRE_EVERY_S = 3600.0
_THREADS_PER_PARK = 3
_THREADS_BESIDES = 4
_LOOK_FOR_EDITS_EVERY_S = 2.0
_LOOK_AT_CLOCK_EVERY_S = 1.0
_CLOCK_IS_BELIEVED = "the clock of this machine is no longer in doubt; ingest continues"
_NOT_USED = "the edited park description is not used, the previous one stays in use: {problem}"
_GONE = "its description is gone from the folder; the previous one stays in use until `run` is restarted"
_NOT_SERVED = "newly described but not served: {parks}; run `zonewise-ingest init`, then start `run` anew"


async def serve(
    config: IngestConfig,
    parks: Mapping[str, Park],
    *,
    clocks: Clocks,
    believes_clock: bool = False,
    maybe_stopping: asyncio.Event | None = None,
) -> None:
    """Ingest the parks until a stop signal comes, or the event is set.

    Args:
        config: ingest.yaml.
        parks: By id.
        clocks: Those of the machine.
        believes_clock: Whether the operator states that the clock is right now.
        maybe_stopping: Ends it.

    Raises:
        ConfigError: when a secret cannot be read.
        JournalLocked: when the instance runs already.
        JournalError: when the journal cannot be opened.
        IngestError: when the local pages cannot be served at the configured address.
    """
    stopping = maybe_stopping or asyncio.Event()
    loop = asyncio.get_running_loop()
    stop_signals.call_on_stop(loop, stopping.set)
    # Per park a write and a report may hang on a mute InfluxDB; the disks must not wait for a thread.
    loop.set_default_executor(ThreadPoolExecutor(_THREADS_BESIDES + _THREADS_PER_PARK * len(parks), "work"))
    with ExitStack() as stack:
        shared = _open(stack, config, clocks, believes_clock=believes_clock)
        services = {
            park.id: ParkService(park, _subscription(config, park.id), shared) for park in parks.values()
        }
        pages = routes(lambda: [service.health() for service in services.values()])
        address = stack.enter_context(serving(config.http, pages))
        _LOGGER.info("instance %s: %s at http://%s", config.instance, ", ".join(parks), address)
        async with asyncio.TaskGroup() as tasks:
            expiring = tasks.create_task(_expire(shared.journal_and_quarantine), name="expire")
            running = [
                tasks.create_task(service.run(stopping), name=f"park-{park}")
                for park, service in services.items()
            ]
            watching = tasks.create_task(_watch_clock(shared, services), name="clock")
            following = tasks.create_task(_follow_edits(config.parks, services), name="park-edits")
            await asyncio.gather(*running)
            expiring.cancel()
            following.cancel()
            watching.cancel()
    _LOGGER.info("stopped")


def _open(stack: ExitStack, config: IngestConfig, clocks: Clocks, *, believes_clock: bool) -> SharedResources:
    """Open what all parks share; the stack closes it."""
    journal = stack.enter_context(
        Journal(config.journal_folder, instance=config.instance, keep_days=config.journal.keep_days)
    )
    quarantine = stack.enter_context(
        Quarantine(config.quarantine_folder, instance=config.instance, limits=_limits(config.quarantine))
    )
    store = open_store(config.store)
    stack.callback(store.close)
    return SharedResources(
        store=store,
        journal_and_quarantine=JournalAndQuarantine(journal, quarantine),
        instance=config.instance,
        clocks=clocks,
        guard=open_guard(config, clocks, journal.reader, is_believed=believes_clock),
    )


def _limits(config: QuarantineConfig) -> QuarantineLimits:
    day_bytes = round(config.max_mb_per_gateway_and_day * 1e6)
    return QuarantineLimits(keep_days=config.keep_days, gateway_day_bytes=day_bytes)


def _subscription(config: IngestConfig, park: str) -> Subscription:
    return Subscription(
        broker=config.broker, park=park, instance=config.instance, share_group=config.share_group
    )


async def _watch_clock(shared: SharedResources, services: Mapping[str, ParkService]) -> None:
    """Check the clock every second, and pass the result to the parks."""
    was_doubted = False
    while True:
        shared.guard.observe(shared.clocks.see())
        maybe_doubt = shared.guard.maybe_doubt
        if (maybe_doubt is not None) is not was_doubted:
            was_doubted = maybe_doubt is not None
            _LOGGER.log(
                logging.ERROR if was_doubted else logging.INFO, "%s", maybe_doubt or _CLOCK_IS_BELIEVED
            )
        for service in services.values():
            service.follow_clock()
        await asyncio.sleep(_LOOK_AT_CLOCK_EVERY_S)


async def _follow_edits(folder: Path, services: Mapping[str, ParkService]) -> None:
    """Take edited park descriptions; where they are faulty, report it and keep using those of before."""
    descriptions = DescriptionsFolder(folder)
    while True:
        await asyncio.sleep(_LOOK_FOR_EDITS_EVERY_S)
        try:
            maybe_parks = await asyncio.to_thread(descriptions.maybe_edited)
        except ConfigError as error:
            _LOGGER.error("the edited park descriptions are not used:\n%s", error)  # noqa: TRY400 - a person's fault, not the program's
            for service in services.values():
                service.edit_problem = _NOT_USED.format(problem=error.problems[0])
        else:
            if maybe_parks is not None:
                _take_edits(maybe_parks, services)


def _take_edits(parks: Mapping[str, Park], services: Mapping[str, ParkService]) -> None:
    _LOGGER.info("park descriptions read again: %s", ", ".join(parks))
    added = ", ".join(sorted(parks.keys() - services.keys()))
    for park, service in services.items():
        service.edit_problem = _NOT_SERVED.format(parks=added) if added else ""
        if park in parks:
            service.change_park(parks[park])
        else:
            service.edit_problem = _GONE
        if service.edit_problem:
            _LOGGER.warning("%s: %s", park, service.edit_problem)


async def _expire(journal_and_quarantine: JournalAndQuarantine) -> None:
    """Delete what is older than the configuration keeps."""
    while True:
        await asyncio.to_thread(journal_and_quarantine.remove_expired, datetime.now(UTC).date())
        await asyncio.sleep(_EXPIRE_EVERY_S)
