"""The clocks that ingest reads: a process has one `Clocks`, tests have one that they move."""

import time
from collections.abc import Callable
from typing import Protocol

from ingest.clock.rules import ClockGuard, Seen
from ingest.config import ClockSource, IngestConfig
from ingest.errors import ClockDoubted
from ingest.journal.reader import JournalReader
from metering.program.kernel_clock import KernelClock


class Clocks(Protocol):
    """The clocks of a machine."""

    def wall_ms(self) -> int:
        """Return UTC milliseconds since 1970."""

    def see(self) -> Seen:
        """Return all that is known of the clocks now."""


class SystemClocks:
    """Those of this machine."""

    def __init__(self) -> None:
        self._kernel = KernelClock()

    def wall_ms(self) -> int:
        """Return UTC milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def see(self) -> Seen:
        """Return all that is known of the clocks now."""
        return Seen(time.monotonic_ns() // 1_000_000, self.wall_ms(), self._kernel.is_synchronised())


def open_guard(
    config: IngestConfig, clocks: Clocks, reader: JournalReader, *, is_believed: bool
) -> ClockGuard:
    """Return the guard of a process that starts now, by what all journals hold."""
    newest_ms = [reader.maybe_newest_ms(park) for park in reader.parks()]
    return ClockGuard(
        clocks.see(),
        newest_receipt_ms=max((one for one in newest_ms if one is not None), default=None),
        needs_kernel=config.clock is ClockSource.NTP,
        is_believed=is_believed,
    )


def guarded_clock(
    config: IngestConfig, clocks: Clocks, reader: JournalReader, *, is_believed: bool
) -> Callable[[], int]:
    """Return the wall clock, UTC milliseconds, of a process that receives no statuses of gateways.

    It raises `ClockDoubted` while it is in doubt.
    """
    guard = open_guard(config, clocks, reader, is_believed=is_believed)

    def now_ms() -> int:
        guard.observe(clocks.see())
        if guard.maybe_doubt is not None:
            raise ClockDoubted(guard.maybe_doubt)
        return clocks.wall_ms()

    return now_ms
