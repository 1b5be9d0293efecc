"""The process of `zonewise-ingest run`: journal and store opened, one `ParkService` per park, clean stop."""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

from ingest.config import IngestConfig
from ingest.health import routes
from ingest.journal import Journal
from ingest.park_service import ParkService, Surroundings
from ingest.quarantine import Quarantine
from ingest.safekeeping import Safekeeping
from ingest.store import open_store
from ingest.subscriber import Subscription
from metering import stop_signals
from metering.local_http import serving
from metering.park import Park

_LOGGER = logging.getLogger(__name__)
_EXPIRE_EVERY_S = 3600.0
_THREADS_PER_PARK = 3
_THREADS_BESIDES = 4


async def serve(config: IngestConfig, parks: Mapping[str, Park]) -> None:
    """Ingest the parks until a stop signal comes.

    Raises:
        ConfigError: when a secret cannot be read.
        JournalLocked: when the instance runs already.
        JournalError: when the journal cannot be opened.
        IngestError: when the local pages cannot be served at the configured address.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    stop_signals.call_on_stop(loop, stopping.set)
    # Per park a write and a report may hang on a mute InfluxDB; the disks must not wait for a thread.
    loop.set_default_executor(ThreadPoolExecutor(_THREADS_BESIDES + _THREADS_PER_PARK * len(parks), "work"))
    with ExitStack() as stack:
        journal = stack.enter_context(
            Journal(config.journal_folder, instance=config.instance, keep_days=config.journal.keep_days)
        )
        quarantine = stack.enter_context(Quarantine(config.quarantine_folder, instance=config.instance))
        store = open_store(config.store)
        stack.callback(store.close)
        safekeeping = Safekeeping(journal, quarantine)
        around = Surroundings(store=store, safekeeping=safekeeping, instance=config.instance)
        services = [ParkService(park, _subscription(config, park.id), around) for park in parks.values()]
        pages = routes(lambda: [service.health() for service in services])
        address = stack.enter_context(serving(config.http, pages))
        _LOGGER.info("instance %s: %s at http://%s", config.instance, ", ".join(parks), address)
        async with asyncio.TaskGroup() as tasks:
            expiring = tasks.create_task(_expire(safekeeping), name="expire")
            running = [
                tasks.create_task(service.run(stopping), name=f"park-{park}")
                for park, service in zip(parks, services, strict=True)
            ]
            await asyncio.gather(*running)
            expiring.cancel()
    _LOGGER.info("stopped")


def _subscription(config: IngestConfig, park: str) -> Subscription:
    return Subscription(
        broker=config.broker, park=park, instance=config.instance, share_group=config.share_group
    )


async def _expire(safekeeping: Safekeeping) -> None:
    """Delete journal segments that are older than the configuration keeps."""
    while True:
        await asyncio.to_thread(safekeeping.remove_expired, datetime.now(UTC).date())
        await asyncio.sleep(_EXPIRE_EVERY_S)
