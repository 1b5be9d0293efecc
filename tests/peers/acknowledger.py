"""STAND-IN for ingest: keeps data messages in memory and acknowledges them, or not, as a test tells it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from edge.uplink.mqtt import LinkOptions, MqttLink, Received, Will
from metering.messages import ack, status, topics
from metering.messages import data as message
from metering.messages.ack import Ack, EpochAck
from metering.messages.data import MessageId
from metering.messages.status import Status
from metering.program.connection import Broker

INSTANCE = "1"


@dataclass
class Acknowledger:
    """What a receiver of one park has heard, in order; `deaf` = it acknowledges nothing."""

    park: str
    broker: Broker
    deaf: bool = False
    heard: list[Received] = field(default_factory=list)
    link: MqttLink | None = None

    async def __aenter__(self) -> Self:
        """Connect."""
        here = topics.ingest_status(self.park, INSTANCE)
        options = LinkOptions(
            broker=self.broker,
            client_id="acknowledger",
            maybe_will=Will(here, status.encode_ingest(online=False, time_ms=0)),
            subscriptions=tuple(f"zonewise/v1/{self.park}/+/{kind}" for kind in ("data", "birth", "status")),
        )
        self.link = MqttLink(options, self)
        await self.link.__aenter__()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Say goodbye."""
        assert self.link is not None
        self.say_online(online=False)
        await self.link.__aexit__(None, None, None)

    def link_up(self) -> None:
        """Say that somebody listens now."""
        self.say_online(online=True)

    def link_down(self, reason: str) -> None:
        """Wait for the broker to come back."""

    def received(self, message_: Received) -> None:
        """Keep a message and acknowledge data."""
        self.heard.append(message_)
        if message_.topic.endswith("/data") and not self.deaf:
            self.acknowledge(message_)

    def say_online(self, *, online: bool) -> None:
        """Publish our own status."""
        assert self.link is not None
        body = status.encode_ingest(online=online, time_ms=_now_ms())
        self.link.publish(topics.ingest_status(self.park, INSTANCE), body, retain=True)

    def say_holding(self) -> None:
        """Publish that we are there and take nothing."""
        assert self.link is not None
        self.link.publish(topics.ingest_status(self.park, INSTANCE), status.encode_holding(), retain=True)

    def acknowledge(self, received: Received) -> None:
        """Say that a message is safe."""
        assert self.link is not None
        envelope = message.decode(received.body)
        one = EpochAck(envelope.id.epoch, ((envelope.id.seq, envelope.id.seq),), envelope.row_count)
        body = ack.encode(Ack(_now_ms(), (one,)))
        self.link.publish(topics.ack(self.park, envelope.gateway), body)

    @property
    def bodies(self) -> Mapping[MessageId, set[bytes]]:
        """The different bodies that came under each id."""
        found: dict[MessageId, set[bytes]] = {}
        for one in self.heard:
            if one.topic.endswith("/data"):
                found.setdefault(message.decode(one.body).id, set()).add(one.body)
        return found

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """All rows of the messages, each message once."""
        envelopes = [message.decode(next(iter(bodies))) for bodies in self.bodies.values()]
        return [tuple(row) for one in envelopes for block in one.blocks for row in block.rows]

    @property
    def last_status(self) -> Status | None:
        """The newest status of a gateway."""
        found = [status.decode(one.body) for one in self.heard if one.topic.endswith("/status")]
        return found[-1] if found else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
