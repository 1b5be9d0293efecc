"""Outboxes for tests: a clock that tests move, messages, and what is done with them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.outbox.entry import Entry
from edge.outbox.outbox import Outbox, OutboxClock, OutboxSettings
from metering.messages.data import MessageId

EPOCH = "00000000000000a1"
LATER = "00000000000000b2"
NOON_MS = 1_790_000_000_000


@dataclass
class Time:
    """A clock that tests move."""

    seconds: float = 0.0
    wall_ms: int = NOON_MS

    @property
    def clock(self) -> OutboxClock:
        """What an outbox asks."""
        return OutboxClock(lambda: self.seconds, lambda: self.wall_ms)

    def pass_(self, seconds: float) -> None:
        """Let time pass on both."""
        self.seconds += seconds
        self.wall_ms += round(seconds * 1000)


def entry(seq: int, *, epoch: str = EPOCH, rows: int = 3, size: int = 40) -> Entry:
    return Entry(MessageId(epoch, seq), rows, f"{epoch}/{seq}".encode().ljust(size, b"."))


@asynccontextmanager
async def opened(
    path: Path,
    time: Time,
    *,
    epoch: str = EPOCH,
    always: bool = False,
    **limits: Any,  # noqa: ANN401 - settings
) -> AsyncIterator[Outbox]:
    chosen = OutboxSettings(path=path, always=always, **limits)
    async with Outbox(chosen, epoch=epoch, clock=time.clock) as outbox:
        yield outbox


async def drain(outbox: Outbox) -> list[Entry]:
    """Hand out and acknowledge everything, live first."""
    taken = []
    while (one := outbox.maybe_live() or await outbox.maybe_backlog()) is not None:
        outbox.hand_out(one)
        assert outbox.done(one.id)
        taken.append(one)
    return taken
