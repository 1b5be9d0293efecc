"""The messages that are only on the disk, read a few at a time, oldest first."""

from collections import deque
from collections.abc import Set as AbstractSet
from functools import partial

from edge.outbox.disk import OutboxDisk
from edge.outbox.entry import Entry
from edge.outbox.writer import OutboxWriter
from metering.messages.data import MessageId

_PREFETCH = 64


class Backlog:
    """Reads from where it stopped last; it starts again only with a new file."""

    def __init__(self, writer: OutboxWriter) -> None:
        self._writer = writer
        self._next: deque[Entry] = deque()
        self._read_to_key = 0

    async def fetch(self, *, before: MessageId, known: AbstractSet[MessageId]) -> None:
        """Read the next messages when those read before are handed out.

        Args:
            before: The oldest message in memory: from there on, messages are live.
            known: Messages handed out or done already; they are skipped.
        """
        while not self._next and await self._writer.ready():
            read = partial(OutboxDisk.fetch, after_key=self._read_to_key, before=before, limit=_PREFETCH)
            maybe_found = await self._writer.work(read)
            if not maybe_found:
                return
            self._read_to_key = maybe_found[-1][0]
            self._next.extend(entry for _key, entry in maybe_found if entry.id not in known)

    def maybe_first(self) -> Entry | None:
        """Return the next message."""
        return self._next[0] if self._next else None

    def hand_out(self, message: MessageId) -> bool:
        """Remove the next message if it is this one; tell whether it was."""
        is_next = bool(self._next) and self._next[0].id == message
        if is_next:
            self._next.popleft()
        return is_next

    def forget(self, message: MessageId) -> None:
        """Remove a message that was dropped."""
        self._next = deque(entry for entry in self._next if entry.id != message)

    def start_over(self) -> None:
        """Begin again with a new file."""
        self._next.clear()
        self._read_to_key = 0
