"""Runs a park's rollup: a cycle and the live figures at each whole 10 s, and a watch over the park's file.

Nothing that the store does ends the process. While it is unavailable, the work is tried again after growing
pauses; a database that is missing or refused needs a person: it is logged as an error and tried again.
While the clock is in doubt, nothing is written: live figures would replace those of another time. A park
description that is edited wrongly is reported, and the last good one stays in use.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from ingest.backoff import pause_s
from ingest.errors import ClockDoubted
from ingest.rollup.job import Cycle, Rollup
from ingest.rollup.live import LiveFigures
from ingest.rollup.series.facts import Counting, read_facts
from ingest.store.contract import Store
from ingest.store.errors import StoreDenied, StoreError
from metering.errors import ConfigError
from metering.park.folder import ParkFolder
from metering.park.model import Park
from metering.program.local_http import Page, Routes
from metering.series import LIVE_MS

_LOGGER = logging.getLogger(__name__)

_CLOCKS = "clocks"

#: Meters named in one text.
_MAX_NAMED = 10
#: Facts of meters for the live figures are read this often.
_FACTS_EVERY_MS = 60_000
#: How long a stop waits for an answer of InfluxDB.
_LAST_ANSWER_S = 3.0


class _Stopped(Exception):
    """The process must stop in the middle of long work."""


@dataclass(slots=True)
class Health:
    """How the rollup is doing, for the local pages; written by the loop, read by any thread."""

    cycles: int = 0
    published: int = 0
    revised: int = 0
    cycle_s: float = 0.0
    live_instants: int = 0
    notices: int = 0
    events: tuple[str, ...] = ()
    park_is_valid: bool = True
    troubles: dict[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether everything works."""
        return self.park_is_valid and not self.troubles

    def routes(self) -> Routes:
        """Return the local pages."""
        return {"/healthz": self._healthz, "/metrics": self._metrics}

    def _healthz(self) -> Page:
        reasons = (
            dict(self.troubles) if self.park_is_valid else {**self.troubles, "park": "description is faulty"}
        )
        body = orjson.dumps({"good": not reasons, "reasons": reasons, "events": self.events})
        return Page(body, status=503 if reasons else 200)

    def _metrics(self) -> Page:
        values = {
            "cycles_total": self.cycles,
            "points_published_total": self.published,
            "points_revised_total": self.revised,
            "cycle_seconds": self.cycle_s,
            "live_instants_total": self.live_instants,
            "meter_notices_total": self.notices,
            "healthy": int(self.is_good),
        }
        lines = "".join(f"zonewise_rollup_{name} {value}\n" for name, value in values.items())
        return Page(lines.encode(), "text/plain; version=0.0.4")


class Service:
    """The running rollup of one park."""

    def __init__(
        self,
        store: Store,
        park: Park,
        folder: ParkFolder,
        *,
        clock_ms: Callable[[], int],
        jitter: Callable[[], float],
    ) -> None:
        self._store = store
        self._is_stopping = threading.Event()
        self._rollup = Rollup(store, park, check_stop=self._check_stop)
        self._folder = folder
        self._clock_ms = clock_ms
        self._jitter = jitter
        self._live = LiveFigures(store, park)
        self._facts: dict[str, Counting] = {}
        self._facts_at_ms = 0
        self.health = Health()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set."""
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch(stop), name="stop")
            slots = tasks.create_task(self._repeat("slots", self._cycle, stop), name="slots")
            live = tasks.create_task(self._repeat("live figures", self._write_live, stop), name="live")
            await asyncio.wait({slots, live})
            watching.cancel()

    async def _watch(self, stop: asyncio.Event) -> None:
        """Stop the working threads, too; after a moment, end the requests that they wait for."""
        await stop.wait()
        self._is_stopping.set()
        await asyncio.sleep(_LAST_ANSWER_S)
        self._store.close()

    def _check_stop(self) -> None:
        if self._is_stopping.is_set():
            raise _Stopped

    async def _repeat(self, what: str, step: Callable[[int], None], stop: asyncio.Event) -> None:
        """Take a step at each whole 10 s; one that takes longer misses the instants meanwhile."""
        failures = 0
        while not stop.is_set():
            try:
                await asyncio.to_thread(step, self._clock_ms())
            except _Stopped:
                return
            except (StoreError, ClockDoubted) as error:
                self._note(what, error)
                failures += 1
                wait_s = pause_s(failures, self._jitter())
            else:
                self._note_success(what)
                failures = 0
                wait_s = self._next_in_s()
            await _wait(stop, wait_s)

    def _next_in_s(self) -> float:
        try:
            return (LIVE_MS - self._clock_ms() % LIVE_MS) / 1000
        except ClockDoubted:  # the next step reports it
            return 0.0

    def _note(self, what: str, error: StoreError | ClockDoubted) -> None:
        if what not in self.health.troubles:
            level = logging.ERROR if isinstance(error, StoreDenied) else logging.WARNING
            hint = "; run `zonewise-ingest init`, or check the rights" if level == logging.ERROR else ""
            _LOGGER.log(level, "park %s: %s wait: %s%s", self._rollup.park.id, what, error, hint)
        self.health.troubles[what] = str(error)

    def _note_success(self, what: str) -> None:
        if self.health.troubles.pop(what, None) is not None:
            _LOGGER.info("park %s: %s work again", self._rollup.park.id, what)

    def _cycle(self, now_ms: int) -> None:
        self._take_edit()
        started_s = time.perf_counter()
        cycle = self._rollup.cycle(now_ms)
        self.health.cycle_s = time.perf_counter() - started_s
        self.health.cycles += 1
        self.health.published += cycle.meters.written + cycle.groups.written
        self.health.revised += cycle.meters.revised + cycle.groups.revised
        self.health.notices = self._rollup.board.count
        self.health.events = self._rollup.board.texts
        self._note_left_out(self._rollup.left_out)
        log_cycle(self._rollup.park.id, cycle, self.health.cycle_s)

    def _note_left_out(self, meters: tuple[str, ...]) -> None:
        """Log once, and show on the page while it lasts, whose readings are in no sum."""
        before = self.health.troubles.pop(_CLOCKS, None)
        if not meters:
            if before is not None:
                _LOGGER.info("park %s: all clocks are synchronised again", self._rollup.park.id)
            return
        more = f" and {len(meters) - _MAX_NAMED} more" if len(meters) > _MAX_NAMED else ""
        text = (
            f"readings of {', '.join(meters[:_MAX_NAMED])}{more} are in no sum: the clock of their gateway"
            " was not synchronised; make its time source work"
        )
        self.health.troubles[_CLOCKS] = text
        if text != before:
            _LOGGER.warning("park %s: %s", self._rollup.park.id, text)

    def _take_edit(self) -> None:
        try:
            maybe_park = self._folder.maybe_edited()
        except ConfigError as error:
            self.health.park_is_valid = False
            _LOGGER.error("the edited park description is not used:\n%s", error)  # noqa: TRY400 - a person's fault, not the program's
            return
        if maybe_park is not None:
            self.health.park_is_valid = True
            _LOGGER.info("park %s: description read again", maybe_park.id)
            self._rollup.change_park(maybe_park)
            self._live = LiveFigures(self._store, maybe_park)

    def _write_live(self, now_ms: int) -> None:
        if now_ms - self._facts_at_ms >= _FACTS_EVERY_MS:
            self._facts = read_facts(self._store, self._rollup.park)
            self._facts_at_ms = now_ms
        self._live.write(self._facts, now_ms // LIVE_MS * LIVE_MS)
        self.health.live_instants += 1


def log_cycle(park: str, cycle: Cycle, seconds: float) -> None:
    """Log what a cycle did: at level info when it published something."""
    _LOGGER.log(
        logging.INFO if cycle.did_something else logging.DEBUG,
        "park %s: slots of meters %d written, %d revised; of groups %d written, %d revised; %.1f s",
        park,
        cycle.meters.written,
        cycle.meters.revised,
        cycle.groups.written,
        cycle.groups.revised,
        seconds,
    )


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
