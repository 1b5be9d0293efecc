"""The bounded queue between the broker and the pipeline of a park. Does no I/O; used in the event loop.

Invariants:
- A message is PUBACKed exactly when it enters the queue. While the queue is full, or held because the journal
  cannot be written, messages wait outside with their PUBACK withheld: the broker's Receive Maximum then stops
  the flow.
- Memory is bounded even if the broker overshoots: of a message beyond `max_outside_bytes` only its packet id
  is kept, and its gateway sends it again.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from ingest.receive.subscriber import Arrival

MAX_BYTES = 16 * 1024 * 1024
MAX_OUTSIDE_BYTES = 64 * 1024 * 1024
#: What Python needs for a message besides its body.
_OVERHEAD_BYTES = 1000


class Intake:
    """Messages in the order of their arrival."""

    def __init__(
        self,
        puback: Callable[[Arrival], None],
        *,
        max_bytes: int = MAX_BYTES,
        max_outside_bytes: int = MAX_OUTSIDE_BYTES,
    ) -> None:
        self._puback = puback
        self._max_bytes = max_bytes
        self._max_outside_bytes = max_outside_bytes
        self._queue: deque[Arrival] = deque()
        self._outside: deque[Arrival] = deque()
        self._discarded: deque[Arrival] = deque()
        self._arrived = asyncio.Event()
        self._is_held = False
        self._is_closed = False
        self.queued_bytes = 0
        self.outside_bytes = 0
        self.discarded = 0

    @property
    def withheld(self) -> int:
        """Messages whose PUBACK is withheld."""
        return len(self._outside) + len(self._discarded)

    @property
    def is_finished(self) -> bool:
        """Whether the intake is closed and nothing is queued."""
        return self._is_closed and not self._queue

    def offer(self, arrival: Arrival) -> bool:
        """Take a message, now or when there is room; false when it is not taken."""
        if self._is_closed:
            return False
        if not self._is_held and not self._outside and self.queued_bytes < self._max_bytes:
            self._enter(arrival)
        elif self.outside_bytes < self._max_outside_bytes:
            self._outside.append(arrival)
            self.outside_bytes += _size(arrival)
        else:
            self.discarded += 1
            self._discarded.append(_without_body(arrival))
            return False
        return True

    def _enter(self, arrival: Arrival) -> None:
        self._queue.append(arrival)
        self.queued_bytes += _size(arrival)
        self._puback(arrival)
        self._arrived.set()

    async def wait(self) -> None:
        """Wait until something is queued, or the intake is closed."""
        await self._arrived.wait()

    def take(self, max_bytes: int, max_messages: int) -> list[Arrival]:
        """Return the oldest messages, at least one if any is there."""
        taken: list[Arrival] = []
        taken_bytes = 0
        while self._queue and len(taken) < max_messages:
            if taken and taken_bytes + _size(self._queue[0]) > max_bytes:
                break
            arrival = self._queue.popleft()
            taken.append(arrival)
            taken_bytes += _size(arrival)
        self.queued_bytes -= taken_bytes
        self._admit_waiting()
        if not self._queue and not self._is_closed:
            self._arrived.clear()
        return taken

    def _admit_waiting(self) -> None:
        if self._is_held or self._is_closed:
            return
        while self._outside and self.queued_bytes < self._max_bytes:
            arrival = self._outside.popleft()
            self.outside_bytes -= _size(arrival)
            self._enter(arrival)
        while self._discarded and not self._outside:
            self._puback(self._discarded.popleft())

    def hold(self) -> None:
        """Accept nothing until `release`."""
        self._is_held = True

    def release(self) -> None:
        """Accept messages again."""
        if self._is_held:
            self._is_held = False
            self._admit_waiting()

    def close(self) -> None:
        """Take nothing more; what is queued can still be taken."""
        self._is_closed = True
        self._outside.clear()
        self.outside_bytes = 0
        self._arrived.set()


def _size(arrival: Arrival) -> int:
    return len(arrival.body) + _OVERHEAD_BYTES


def _without_body(arrival: Arrival) -> Arrival:
    return Arrival(arrival.topic, arrival.received_at_ms, (), b"", False, arrival.mid, arrival.connection)
