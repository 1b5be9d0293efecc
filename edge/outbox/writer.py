"""The outbox's disk for the event loop: one thread, retries, and a new file for a damaged one.

Contract:
- Work is done in order, one piece at a time; a piece that the disk refuses returns `None`, is counted, and
  nothing is tried again before a pause that doubles from 1 s to 60 s.
- A file that turns out to be damaged is renamed and a new one opened; `on_open` is called at every opening.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from edge.errors import OutboxCorrupt, OutboxUnavailable
from edge.outbox.disk import Opened, OutboxDisk
from metering.program.backoff import growing_s

_LOGGER = logging.getLogger(__name__)
_FIRST_PAUSE_S = 1.0
_MAX_PAUSE_S = 60.0

_Result = TypeVar("_Result")


class OutboxWriter:
    """The one thread that touches the file.

    Args:
        disk: The file, not opened yet.
        monotonic_s: Clock for the pauses.
        on_open: Called in the event loop with what each opening found.
    """

    def __init__(
        self, disk: OutboxDisk, *, monotonic_s: Callable[[], float], on_open: Callable[[Opened], None]
    ) -> None:
        self._disk = disk
        self._monotonic_s = monotonic_s
        self._on_open = on_open
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._failures = 0
        self._problem = ""
        self._refused_in_a_row = 0
        self._retry_at_s = float("-inf")

    @property
    def failures(self) -> int:
        """How often the disk refused."""
        return self._failures

    @property
    def problem(self) -> str:
        """Why the disk refused, with the file's path; empty while it works."""
        return "" if self.is_usable else self._problem

    @property
    def is_pausing(self) -> bool:
        """Whether the disk refused a short while ago."""
        return self._monotonic_s() < self._retry_at_s

    @property
    def is_usable(self) -> bool:
        """Whether the last operation on the disk worked."""
        return self._disk.is_open and not self._refused_in_a_row

    @property
    def bytes(self) -> int:
        """Bytes of messages in the file."""
        return self._disk.bytes

    @property
    def maybe_oldest_at_ms(self) -> int | None:
        """When the oldest message in the file was written, 0 = at an unknown time; `None` = no message."""
        return self._disk.maybe_oldest_at_ms

    def retry_now(self) -> None:
        """End a pause."""
        self._retry_at_s = float("-inf")

    async def ready(self) -> bool:
        """Open the file if it is not open; False when the disk refuses or did so a short while ago."""
        if self._disk.is_open:
            return True
        if self.is_pausing:
            return False
        maybe_opened = await self.work(OutboxDisk.open)
        if maybe_opened is not None:
            self._on_open(maybe_opened)
        return self._disk.is_open

    async def work(self, on_disk: Callable[[OutboxDisk], _Result]) -> _Result | None:
        """Do a piece of work on the disk; return `None` when it refuses."""
        try:
            return await self._on_thread(on_disk)
        except OutboxUnavailable as error:
            self._refused(error)
        except OutboxCorrupt as error:
            _LOGGER.warning("the outbox file %s is damaged: %s", self._disk.path, error)
            await self._replace()
        return None

    async def write(self, on_disk: Callable[[OutboxDisk], _Result]) -> _Result | None:
        """Do work that writes; its success ends the series of failures."""
        maybe_result = await self.work(on_disk)
        if maybe_result is not None:
            self._refused_in_a_row = 0
        return maybe_result

    async def close(self) -> None:
        """Close the file and end the thread."""
        await self._on_thread(OutboxDisk.close)
        self._thread.shutdown()

    async def _replace(self) -> None:
        try:
            self._on_open(await self._on_thread(OutboxDisk.set_aside))
        except OutboxUnavailable as error:
            self._refused(error)

    def _refused(self, error: OutboxUnavailable) -> None:
        self._failures += 1
        self._refused_in_a_row += 1
        # One process alone uses the disk: no jitter is needed.
        pause_s = growing_s(self._refused_in_a_row, first_s=_FIRST_PAUSE_S, max_s=_MAX_PAUSE_S, jitter=0.0)
        self._retry_at_s = self._monotonic_s() + pause_s
        self._problem = f"{self._disk.path}: {error}"
        _LOGGER.warning("the outbox's disk refuses, next try in %.0f s: %s", pause_s, self._problem)

    async def _on_thread(self, on_disk: Callable[[OutboxDisk], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, on_disk, self._disk)
