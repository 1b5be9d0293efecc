"""The messages that are only on the disk, read a few at a time, oldest first."""

from collections import deque
from collections.abc import Set as AbstractSet
from functools import partial

from edge.entry import Entry
from edge.outbox_disk import OutboxDisk
from edge.outbox_writer import OutboxWriter
from metering.message import MessageId

_PREFETCH = 64


class Backlog:
    """Reads on from where it has read to; it never goes back, but for a new file."""

    def __init__(self, writer: OutboxWriter) -> None:
        self._writer = writer
        self._next: deque[Entry] = deque()
        self._read_to_key = 0

    async def fetch(self, *, before: MessageId, known: AbstractSet[MessageId]) -> None:
        """Read on when nothing is left of what was read.

        Args:
            before: The oldest message in memory: from there on, messages are live.
            known: Messages handed out or done already; they are passed over.
        """
        while not self._next and await self._writer.ready():
            read = partial(OutboxDisk.fetch, after_key=self._read_to_key, before=before, limit=_PREFETCH)
            maybe_found = await self._writer.work(read)
            if not maybe_found:
                return
            self._read_to_key = maybe_found[-1][0]
            self._next.extend(entry for _key, entry in maybe_found if entry.id not in known)

    def maybe_first(self) -> Entry | None:
        """Give the next message."""
        return self._next[0] if self._next else None

    def hand_out(self, message: MessageId) -> bool:
        """Take the next message off, if it is this one."""
        is_next = bool(self._next) and self._next[0].id == message
        if is_next:
            self._next.popleft()
        return is_next

    def forget(self, message: MessageId) -> None:
        """Leave a message out that was dropped."""
        self._next = deque(entry for entry in self._next if entry.id != message)

    def start_over(self) -> None:
        """Read a new file."""
        self._next.clear()
        self._read_to_key = 0
