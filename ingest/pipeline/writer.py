"""Writes rows into InfluxDB: retry, split, bisect, pause.

Contract: `write_rows` returns when each row is either in InfluxDB or known to be refused by it. What InfluxDB
answers decides:

| answer | what follows |
|---|---|
| network, 429, 5xx | the same again, after a growing, capped and jittered pause; after 60 s an alarm |
| 401, 403, 404 | the park is paused and an alarm raised; tried again until it works |
| 413 | two halves |
| 400, 422 | two halves, down to the lines that are refused |

Writing is idempotent: a point that is written twice is the same point. A body with rows that are late for
their slot also holds one `late` point per meter, stamped with the time of the attempt: what is written after
an outage is late by that outage.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingest.backoff import pause_s
from ingest.events.open_events import OpenEvents
from ingest.store.contract import Store
from ingest.store.errors import StoreDenied, StoreError, StoreRefused, StoreTooLarge, StoreUnavailable
from ingest.store.line_protocol import encode_point
from ingest.validation.rows import StoredRow
from metering.series import LATE, LATE_AFTER_MS, SLOT_MS, raw_database

_LOGGER = logging.getLogger(__name__)

#: An outage that lasts longer is an event.
ALARM_AFTER_MS = 60_000

#: Returns the `late` lines of some of the rows that are written.
_LateLines = Callable[[range], list[bytes]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why writing is interrupted.

    Attributes:
        error: The store's last error.
        since_ms: When it began, UTC.
    """

    error: StoreError
    since_ms: int

    @property
    def is_denied(self) -> bool:
        """Whether a person must act."""
        return isinstance(self.error, StoreDenied)


class LateNotices:
    """Makes `late` points: times strictly increase over all of them, also where the clock is set back.

    What is late is measured by the latest time that the clock ever showed: the rollup may have published
    slots by it, and has read `late` up to it.

    Args:
        park: Tag.
        instance: Tag.
        clock_ms: UTC.
        since_ms: The latest time that a former process is known to have had.
    """

    def __init__(self, park: str, instance: str, clock_ms: Callable[[], int], *, since_ms: int = 0) -> None:
        self._park = park
        self._instance = instance
        self._clock_ms = clock_ms
        self._latest_ms = since_ms
        self._last_ms = 0

    def lines(self, rows: Sequence[StoredRow]) -> list[bytes]:
        """Return a line for each meter that has rows whose slot ended more than a minute ago."""
        self._latest_ms = max(self._clock_ms(), self._latest_ms)
        # The start of the last slot for which a row is not late yet.
        cutoff_ms = (self._latest_ms - LATE_AFTER_MS) // SLOT_MS * SLOT_MS
        spans: dict[str, tuple[int, int]] = {}
        for row in rows:
            taken_at_ms = row.taken_at_ms
            if taken_at_ms < cutoff_ms:
                low, high = spans.get(row.meter, (taken_at_ms, taken_at_ms))
                spans[row.meter] = (min(low, taken_at_ms), max(high, taken_at_ms))
        if not spans:
            return []
        self._last_ms = max(self._latest_ms, self._last_ms + 1)
        return [self._line(meter, *span) for meter, span in spans.items()]

    def _line(self, meter: str, from_ms: int, to_ms: int) -> bytes:
        tags = (("instance", self._instance), ("meter", meter), ("park", self._park))
        return encode_point(LATE, tags, {"from_ms": from_ms, "to_ms": to_ms}, self._last_ms)


class ParkWriter:
    """Writes one park's raw data, one body at a time."""

    def __init__(
        self,
        store: Store,
        park: str,
        *,
        instance: str,
        events: OpenEvents,
        clock_ms: Callable[[], int],
        jitter: Callable[[], float],
        since_ms: int = 0,
    ) -> None:
        """Begin; `since_ms` is the latest time that a former process is known to have had."""
        self._store = store
        self._database = raw_database(park)
        self._late = LateNotices(park, instance, clock_ms, since_ms=since_ms)
        self._events = events
        self._clock_ms = clock_ms
        self._jitter = jitter
        self.maybe_trouble: Trouble | None = None
        self.bodies = 0

    async def write_rows(self, rows: Sequence[StoredRow]) -> list[int]:
        """Write rows and return the indexes, in `rows`, of those that InfluxDB refuses for good."""
        lines = [row.line for row in rows]
        return await self._write(lines, lambda part: self._late.lines(rows[part.start : part.stop]))

    async def write_points(self, lines: Sequence[bytes]) -> list[int]:
        """Write points that are no rows and return the indexes of those that InfluxDB refuses for good."""
        return await self._write(lines, _no_late)

    async def _write(self, lines: Sequence[bytes], late: _LateLines) -> list[int]:
        refused: list[int] = []
        parts = [range(len(lines))] if lines else []
        while parts:
            part = parts.pop()
            if await self._write_part(lines, part, late):
                continue
            if len(part) > 1:
                middle = (part.start + part.stop) // 2
                parts += [range(middle, part.stop), range(part.start, middle)]
            elif await self._write_part(lines, part, _no_late):
                # Was it the `late` point that was refused? Then the rollup must find out without it.
                _LOGGER.error("%s: a point of %r was refused", self._database, LATE)
            else:
                refused.append(part.start)
        return refused

    async def _write_part(self, lines: Sequence[bytes], part: range, late: _LateLines) -> bool:
        """Write some lines; false when they, as they are together, are refused."""
        failures = 0
        while True:
            body = b"\n".join([*lines[part.start : part.stop], *late(part)])
            try:
                await asyncio.to_thread(self._store.write, self._database, body)
            except (StoreTooLarge, StoreRefused) as error:
                _LOGGER.debug("%s: %d lines refused: %s", self._database, len(part), error)
                return False
            except (StoreUnavailable, StoreDenied) as error:
                self._note(error)
                asked_s = error.retry_after_s if isinstance(error, StoreUnavailable) else None
                failures += 1
                await asyncio.sleep(pause_s(failures, self._jitter(), retry_after_s=asked_s))
            else:
                self.bodies += 1
                self._note_success()
                return True

    def _note(self, error: StoreError) -> None:
        now_ms = self._clock_ms()
        maybe_before = self.maybe_trouble
        if maybe_before is None or type(maybe_before.error) is not type(error):
            _LOGGER.warning("%s: writing waits: %s", self._database, error)
        since_ms = now_ms if maybe_before is None else maybe_before.since_ms
        self.maybe_trouble = Trouble(error, since_ms)
        parameters = {"database": self._database, "error": str(error)}
        if self.maybe_trouble.is_denied:
            self._events.open("store_denied", self._database, parameters, now_ms)
        elif now_ms - since_ms >= ALARM_AFTER_MS:
            self._events.open("store_unavailable", self._database, parameters, now_ms)

    def _note_success(self) -> None:
        now_ms = self._clock_ms()
        if self.maybe_trouble is not None:
            waited_s = (now_ms - self.maybe_trouble.since_ms) // 1000
            _LOGGER.info("%s: writing works again after %d s", self._database, waited_s)
        self.maybe_trouble = None
        # Also those that a former process has left open.
        for kind in ("store_denied", "store_unavailable"):
            self._events.close(kind, self._database, now_ms)


def _no_late(_part: range) -> list[bytes]:
    return []
