"""Sends sealed messages as fast as they are acknowledged end to end, over a real broker.

Nothing is sent twice: Mosquitto holds a thousand messages for a subscriber by default, and each gateway keeps
within its window, as ingest takes no more of it. A message is safe when ingest says so in an `ack`.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from edge.outbox.entry import Entry
from edge.uplink.mqtt import LinkOptions, MqttLink, Received
from metering.messages import ack, topics
from metering.messages.data import WINDOW_BYTES, WINDOW_MESSAGES, MessageId, to_properties
from metering.program.connection import Broker
from tests.bench.batches import Batch

_STALLED_S = 60.0


class Stalled(Exception):
    """No acknowledgement came for a minute."""


@dataclass(slots=True)
class Delivery:
    """What became of the messages of one sender.

    Attributes:
        sent_at_s: Instant of each sending, on the monotonic clock.
        safe_at_s: Instant of each acknowledgement's arrival.
        waiting: By epoch, the size of each message that is not acknowledged yet.
        rows_stored: As ingest says.
        rows_quarantined: As ingest says.
    """

    sent_at_s: dict[MessageId, float] = field(default_factory=dict)
    safe_at_s: dict[MessageId, float] = field(default_factory=dict)
    waiting: dict[str, dict[MessageId, int]] = field(default_factory=lambda: defaultdict(dict))
    rows_stored: int = 0
    rows_quarantined: int = 0

    def has_room(self, entry: Entry) -> bool:
        """Tell whether a message fits into its gateway's window."""
        waiting = self.waiting[entry.id.epoch].values()
        return len(waiting) < WINDOW_MESSAGES and sum(waiting) + len(entry.body) <= WINDOW_BYTES

    @property
    def took_s(self) -> float:
        """From the first sending to the last acknowledgement."""
        return max(self.safe_at_s.values()) - min(self.sent_at_s.values())


class Sender:
    """One MQTT client that speaks for several gateways; use it as `async with`."""

    def __init__(self, port: int, park: str, *, client_id: str = "bench") -> None:
        self.delivery = Delivery()
        self._park = park
        self._is_heard = asyncio.Event()
        self._acked = asyncio.Event()
        options = LinkOptions(
            broker=Broker(host="127.0.0.1", port=port),
            client_id=client_id,
            subscriptions=(topics.ack(park, "+"), topics.ingest_status(park)),
        )
        self._link = MqttLink(options, self)

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        await asyncio.wait_for(self._is_heard.wait(), _STALLED_S)
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self._link.__aexit__(None, None, None)

    def link_up(self) -> None:
        """Wait for ingest to say that it is there."""

    def link_down(self, reason: str) -> None:
        """Note that the broker is gone; the measurement will stall and say so."""

    def received(self, message: Received) -> None:
        """Take an acknowledgement, or the word that ingest is online."""
        now_s = time.monotonic()
        if not message.topic.endswith("/ack"):
            self._is_heard.set()
            return
        for one in ack.decode(message.body).acks:
            for first, last in one.seqs:
                for seq in range(first, last + 1):
                    self.delivery.safe_at_s.setdefault(MessageId(one.epoch, seq), now_s)
                    self.delivery.waiting[one.epoch].pop(MessageId(one.epoch, seq), None)
            self.delivery.rows_stored += one.rows_stored
            self.delivery.rows_quarantined += sum(part.rows for part in one.quarantined)
        self._acked.set()

    def send(self, gateway: str, entry: Entry) -> None:
        """Send one message."""
        properties = to_properties(entry.tag, backlog=False, deflated=entry.is_deflated)
        self.delivery.sent_at_s[entry.id] = time.monotonic()
        self.delivery.waiting[entry.id.epoch][entry.id] = len(entry.body)
        self._link.publish(topics.data(self._park, gateway), entry.body, properties=tuple(properties))

    async def send_all(self, batches: Sequence[Batch]) -> Delivery:
        """Send everything, each gateway within its window, and wait until all are safe.

        Raises:
            Stalled: when nothing is acknowledged for a minute.
        """
        for gateway, entry in _in_turn(batches):
            await self._until(partial(self.delivery.has_room, entry))
            self.send(gateway, entry)
        await self._until(lambda: not any(self.delivery.waiting.values()))
        return self.delivery

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._acked.clear()
            try:
                await asyncio.wait_for(self._acked.wait(), _STALLED_S)
            except TimeoutError as error:
                left = sum(len(some) for some in self.delivery.waiting.values())
                raise Stalled(f"{left} messages are not acknowledged") from error


def _in_turn(batches: Sequence[Batch]) -> Iterable[tuple[str, Entry]]:
    longest = max(len(one.entries) for one in batches)
    for place in range(longest):
        for one in batches:
            if place < len(one.entries):
                yield one.gateway, one.entries[place]
