"""Sends messages in the name of a gateway, under an epoch and a client id of its own.

It uses the gateway's outbox, window, delivery and MQTT link, and keeps an account: rows read are stored,
quarantined, held or dropped. Nothing is dropped as long as `send` is awaited, because it waits for room.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.outbox.entry import seal
from edge.outbox.outbox import Outbox, OutboxClock, OutboxSettings
from edge.uplink.delivery import Delivery
from edge.uplink.mqtt import LinkOptions, MqttLink, Received
from edge.uplink.window import DeliveryWindow, WindowLimits
from metering.messages import birth, topics
from metering.messages.ack import Ack
from metering.messages.birth import Birth
from metering.messages.data import Message, MessageId
from metering.messages.status import EpochAccount
from metering.program.connection import Broker
from metering.readings import RowBlock
from simulators.errors import DeliveryFailed
from simulators.park.park import wall_ms

_TICK_S = 0.05
_CHECK_EVERY_S = 1.0
_MAX_WAITING = 96
_MEMORY_BYTES = 32_000_000
# There is no live traffic, so backlog may use the whole window.
_WINDOW = WindowLimits(live_share=0.0)


@dataclass(frozen=True, slots=True)
class Route:
    """Whose messages these are and where they go.

    Attributes:
        purpose: Part of the client id, so that it is not the gateway's.
        folder: Where the outbox may write.
        no_ack_s: Longest time without any acknowledgement before sending fails.
    """

    park: str
    gateway: str
    broker: Broker
    purpose: str
    folder: Path
    no_ack_s: float = 60.0


class Courier:
    """Sends blocks as messages; made by `courier`."""

    def __init__(self, route: Route, outbox: Outbox, epoch: str) -> None:
        self._route = route
        self._outbox = outbox
        self._epoch = epoch
        self._seq = 0
        self._sent_at_s: dict[int, float] = {}
        self._acknowledged = asyncio.Event()
        self.ack_times_s: list[float] = []
        self._delivery = Delivery(
            park=route.park,
            gateway=route.gateway,
            outbox=outbox,
            window=DeliveryWindow(_WINDOW, random=random.random),
            monotonic_s=time.monotonic,
            on_ack=self._note_ack,
        )
        options = LinkOptions(
            broker=route.broker,
            client_id=f"zonewise-{route.park}-{route.gateway}-{route.purpose}-{epoch}",
            subscriptions=self._delivery.subscriptions,
        )
        self.link = MqttLink(options, self)
        self._maybe_birth: Birth | None = None
        self._is_leaving = False

    @property
    def epoch(self) -> str:
        """The epoch of all messages sent."""
        return self._epoch

    @property
    def account(self) -> EpochAccount:
        """The account of the rows sent."""
        return next(one for one in self._outbox.accounts if one.epoch == self._epoch)

    def announce(self, described: Birth) -> None:
        """Publish a birth at each connect, for gateways that only exist here."""
        self._maybe_birth = described
        if self.link.is_up:
            self.link_up()

    async def send(self, *blocks: RowBlock) -> None:
        """Send one message, waiting until there is room for it.

        Raises:
            DeliveryFailed: when nothing is acknowledged any more.
        """
        await self._until(lambda: self._outbox.state.memory_messages < _MAX_WAITING)
        self._seq += 1
        entry = seal(Message(self._route.gateway, MessageId(self._epoch, self._seq), blocks))
        self._sent_at_s[self._seq] = time.monotonic()
        await self._outbox.append(entry)
        self._delivery.wake()

    async def drain(self, *, on_wait: Callable[[], None] = lambda: None) -> None:
        """Wait until everything is acknowledged.

        Raises:
            DeliveryFailed: when nothing is acknowledged any more.
        """
        await self._until(lambda: not self.account.held, on_wait=on_wait)

    async def _until(
        self, condition: Callable[[], bool], *, on_wait: Callable[[], None] = lambda: None
    ) -> None:
        held, since_s = -1, 0.0
        while not condition():
            if self.account.held != held:
                held, since_s = self.account.held, time.monotonic()
            elif time.monotonic() - since_s > self._route.no_ack_s:
                raise DeliveryFailed(
                    f"{self._route.gateway}: nothing acknowledged for {self._route.no_ack_s:g} s, {held} "
                    f"rows wait; does ingest run, and has it the park {self._route.park!r}?"
                )
            await self._wait_for_ack()
            on_wait()

    async def pump(self) -> None:
        """Send what may be sent, until `leave`."""
        while not self._is_leaving:
            await self._delivery.pump(self.link)
            await self._delivery.wait(_TICK_S)

    def leave(self) -> None:
        """Make `pump` end; nothing more is sent."""
        self._is_leaving = True
        self._delivery.wake()

    def link_up(self) -> None:
        """Publish the birth, if there is one, and start to send."""
        if self._maybe_birth is not None:
            topic = topics.birth(self._route.park, self._route.gateway)
            self.link.publish(topic, birth.encode(self._maybe_birth), retain=True)
        self._delivery.link_up()

    def link_down(self, reason: str) -> None:
        """Stop sending until the link is back."""
        del reason
        self._delivery.link_down()

    def received(self, message: Received) -> None:
        """Handle an acknowledgement."""
        self._delivery.received(message)

    async def _wait_for_ack(self) -> None:
        self._acknowledged.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CHECK_EVERY_S):
                await self._acknowledged.wait()

    def _note_ack(self, received: Ack) -> None:
        now_s = time.monotonic()
        for one in received.acks:
            if one.epoch == self._epoch:
                for first, last in one.seqs:
                    self._note_times(first, last, now_s)
        self._acknowledged.set()

    def _note_times(self, first: int, last: int, now_s: float) -> None:
        for seq in range(first, last + 1):
            maybe_sent_s = self._sent_at_s.pop(seq, None)
            if maybe_sent_s is not None:
                self.ack_times_s.append(now_s - maybe_sent_s)


@asynccontextmanager
async def courier(route: Route) -> AsyncIterator[Courier]:
    """Connect and deliver while the block runs; what is unacknowledged at its end stays on disk, as held."""
    epoch = secrets.token_hex(8)
    settings = OutboxSettings(
        path=route.folder / f"{route.purpose}-{route.gateway}.db", memory_bytes=_MEMORY_BYTES
    )
    clock = OutboxClock(monotonic_s=time.monotonic, wall_ms=wall_ms)
    async with Outbox(settings, epoch=epoch, clock=clock) as outbox:
        one = Courier(route, outbox, epoch)
        async with one.link, asyncio.TaskGroup() as tasks:
            tasks.create_task(one.pump(), name=f"pump of {route.gateway}")
            try:
                yield one
            finally:
                one.leave()
