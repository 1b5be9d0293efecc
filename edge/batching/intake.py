"""From polls to the outbox: stamped, packed, sealed, appended.

Contract:
- `take` is called by the pollers in the event loop and never waits; the rows that wait are bounded
  (`edge.batching.clock`).
- Each poll ends in the outbox or is counted there as dropped.
- Messages are appended in the order of their seq. `on_accepted` is called with each message that the outbox
  holds as configured.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.batching.assembler import Assembler
from edge.batching.clock import Stamper
from edge.drivers.polled import Polled
from edge.errors import MessageTooLarge
from edge.outbox.entry import Entry, seal
from edge.outbox.outbox import Outbox
from metering.messages.data import Message
from metering.readings import Reading

_LOGGER = logging.getLogger(__name__)
_TICK_S = 0.5
_NS_PER_S = 1_000_000_000

#: Called with each message that the outbox holds as configured (`Outbox.append`).
Accepted = Callable[[Message], None]


def ignore_accepted(_message: Message) -> None:
    """Do nothing with an accepted message."""


@contextmanager
def accepted_log(path: Path) -> Iterator[Accepted]:
    """Log accepted rows, for tests that kill the process: `epoch seq meter taken_at_ms`, fsynced.

    Raises:
        OSError: when the file cannot be written.
    """
    with path.open("a", encoding="ascii") as log:

        def note(message: Message) -> None:
            rows = (row for block in message.blocks for row in block.rows)
            log.writelines(
                f"{message.id.epoch} {message.id.seq} {row.meter} {row.taken_at_ms}\n" for row in rows
            )
            log.flush()
            os.fsync(log.fileno())

        yield note


class Intake:
    """Takes polls and appends them to the outbox as messages."""

    def __init__(
        self,
        *,
        stamper: Stamper,
        assembler: Assembler,
        outbox: Outbox,
        monotonic_ns: Callable[[], int],
        on_appended: Callable[[], None],
        on_accepted: Accepted = ignore_accepted,
    ) -> None:
        self._stamper = stamper
        self._assembler = assembler
        self._outbox = outbox
        self._monotonic_ns = monotonic_ns
        self._on_appended = on_appended
        self._on_accepted = on_accepted
        self._wake = asyncio.Event()
        self._is_ending = False

    @property
    def waiting_rows(self) -> int:
        """Rows that are not in the outbox yet."""
        return self._stamper.waiting + self._assembler.open_rows

    def take(self, polled: Polled) -> None:
        """Take a poll."""
        self._stamper.take(polled)
        self._wake.set()

    def end(self) -> None:
        """Make `run` append the rest and end; no more polls are taken."""
        self._is_ending = True
        self._wake.set()

    async def run(self) -> None:
        """Append messages until `end` was called."""
        while not self._is_ending:
            await self._step(self._stamper.release(now_monotonic_ns=self._monotonic_ns()))
            await self._wait()
        await self._step(self._stamper.flush())
        await self._append(one for one in [self._assembler.flush()] if one is not None)

    async def _step(self, readings: Iterable[Reading]) -> None:
        messages = [message for reading in readings for message in self._pack(reading)]
        maybe_closed = self._assembler.maybe_close(now_s=self._now_s())
        await self._append([*messages, *([] if maybe_closed is None else [maybe_closed])])
        discarded = self._stamper.collect_discarded()
        if discarded:
            _LOGGER.warning("%d rows dropped: too many wait for the time or for the disk", discarded)
            self._outbox.discard_read(discarded)

    def _pack(self, reading: Reading) -> tuple[Message, ...]:
        try:
            return self._assembler.add(reading, now_s=self._now_s())
        except MessageTooLarge as error:
            _LOGGER.error("a row is dropped: %s", error)  # noqa: TRY400 - expected, no traceback needed
            self._outbox.discard_read(1)
            return ()

    async def _append(self, messages: Iterable[Message]) -> None:
        sealed = [(message, entry) for message in messages for entry in self._seal(message)]
        if not sealed:
            return
        is_kept = await self._outbox.append(*(entry for _message, entry in sealed))
        self._on_appended()
        for message, _entry in sealed if is_kept else []:
            self._on_accepted(message)

    def _seal(self, message: Message) -> tuple[Entry, ...]:
        try:
            return (seal(message),)
        except MessageTooLarge as error:
            _LOGGER.error("%d rows are dropped: %s", message.row_count, error)  # noqa: TRY400 - likewise
            self._outbox.discard_read(message.row_count)
            return ()

    async def _wait(self) -> None:
        maybe_closes_at_s = self._assembler.maybe_closes_at_s
        until_s = _TICK_S if maybe_closes_at_s is None else maybe_closes_at_s - self._now_s()
        try:
            async with asyncio.timeout(min(max(until_s, 0.0), _TICK_S)):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    def _now_s(self) -> float:
        return self._monotonic_ns() / _NS_PER_S
