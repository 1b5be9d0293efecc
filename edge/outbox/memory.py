"""The part of the outbox that is in memory: the newest messages of one epoch, in rising seq. Pure.

Invariant: a message is removed when it is done; for any other reason the oldest is removed first. So if one
is here, every later one that is not done is here too.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge.outbox.entry import Entry


@dataclass(slots=True)
class Held:
    """A message in memory.

    Attributes:
        at_s: When it was added, on the caller's monotonic clock.
        on_disk: Whether the disk has it too.
    """

    entry: Entry
    at_s: float
    on_disk: bool = False


class OutboxMemory:
    """Messages by seq, and which of them were not handed out yet."""

    def __init__(self) -> None:
        self._held: dict[int, Held] = {}
        self._unsent: deque[int] = deque()
        self._bytes = 0
        self._rows = 0
        self._last_seq = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def bytes(self) -> int:
        """Bytes of bodies."""
        return self._bytes

    @property
    def rows(self) -> int:
        """Rows of the messages here."""
        return self._rows

    @property
    def last_seq(self) -> int:
        """The newest message ever added; 0 = none."""
        return self._last_seq

    @property
    def first_seq(self) -> int:
        """The oldest message here, or the next one to come."""
        return next(iter(self._held), self._last_seq + 1)

    @property
    def oldest_at_s(self) -> float:
        """When the oldest message here was added; infinity when there is none. Safe from any thread."""
        # The copy is made in one step of the interpreter; an iterator would notice changes of another thread.
        return next((held.at_s for held in tuple(self._held.values())), float("inf"))

    def add(self, entry: Entry, *, now_s: float) -> None:
        """Take a message newer than all before."""
        self._last_seq = entry.id.seq
        self._held[entry.id.seq] = Held(entry, now_s)
        self._unsent.append(entry.id.seq)
        self._bytes += len(entry.body)
        self._rows += entry.rows

    def maybe_get(self, seq: int) -> Held | None:
        """Return a message if it is here."""
        return self._held.get(seq)

    def maybe_unsent(self) -> Entry | None:
        """Return the oldest message here that was not handed out."""
        while self._unsent and self._unsent[0] not in self._held:
            self._unsent.popleft()
        return self._held[self._unsent[0]].entry if self._unsent else None

    def hand_out(self, seq: int) -> None:
        """Note that the oldest unsent message was handed out; other messages are ignored."""
        if self._unsent and self._unsent[0] == seq:
            self._unsent.popleft()

    def release(self, seq: int) -> Held | None:
        """Remove a message; return `None` when it is not here."""
        maybe_held = self._held.pop(seq, None)
        if maybe_held is not None:
            self._bytes -= len(maybe_held.entry.body)
            self._rows -= maybe_held.entry.rows
        return maybe_held

    def release_oldest(self) -> Held:
        """Remove the oldest message; KeyError when there is none."""
        held = self._held[self.first_seq]
        self.release(held.entry.id.seq)
        return held

    def oldest_while(self, is_due: Callable[[Held], bool]) -> tuple[Held, ...]:
        """Return messages from the oldest on, up to the first that is not due."""
        due: list[Held] = []
        for held in self._held.values():
            if not is_due(held):
                break
            due.append(held)
        return tuple(due)

    def only_here(self) -> tuple[Entry, ...]:
        """Return the messages that the disk does not have, oldest first."""
        return tuple(held.entry for held in self._held.values() if not held.on_disk)

    def lose_disk(self) -> None:
        """Mark all messages as not on the disk."""
        for held in self._held.values():
            held.on_disk = False
