"""Listens at the broker and tells how old a row is when it is acknowledged, that is, safe and queryable.

An independent witness: it sees the messages as they travel and ingest's acknowledgements, nothing inside the
programs. Ingest acknowledges after InfluxDB has answered the write, so a query finds the row from then on; the
way of the acknowledgement to here is counted too.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Self

from edge.uplink.mqtt import LinkOptions, MqttLink, Received
from metering.messages import ack, topics
from metering.messages import data as message
from metering.messages.data import MessageId
from metering.program.connection import Broker

_CONNECT_S = 30.0
_TAKEN_AT = 1


@dataclass(slots=True)
class Seen:
    """What was seen.

    Attributes:
        ages_s: Of each live row at its acknowledgement, from `taken_at`.
        age_at_s: Instant of that acknowledgement, monotonic clock.
        live_rows: Acknowledged, sent as live.
        backlog_rows: Acknowledged, sent as backlog.
        backlog_at_s: Instants of the first and last acknowledgement of backlog, monotonic clock.
    """

    ages_s: list[float] = field(default_factory=list)
    age_at_s: list[float] = field(default_factory=list)
    live_rows: int = 0
    backlog_rows: int = 0
    backlog_at_s: tuple[float, float] = (0.0, 0.0)


class Observer:
    """An MQTT client that only listens; use it as `async with`."""

    def __init__(self, port: int, park: str) -> None:
        self.seen = Seen()
        self._is_up = asyncio.Event()
        self._taken_ms: dict[MessageId, list[int]] = {}
        self._backlog: dict[MessageId, int] = {}
        options = LinkOptions(
            broker=Broker(host="127.0.0.1", port=port),
            client_id="bench-observer",
            subscriptions=(topics.data(park, "+"), topics.ack(park, "+")),
        )
        self._link = MqttLink(options, self)

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        await asyncio.wait_for(self._is_up.wait(), _CONNECT_S)
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self._link.__aexit__(None, None, None)

    def link_up(self) -> None:
        """Note that the broker is there."""
        self._is_up.set()

    def link_down(self, reason: str) -> None:
        """Note that the broker is gone; what passes meanwhile is not seen."""

    def received(self, received: Received) -> None:
        """Take a data message or an acknowledgement."""
        if received.topic.endswith("/ack"):
            for one in ack.decode(received.body).acks:
                for first, last in one.seqs:
                    for seq in range(first, last + 1):
                        self._safe(MessageId(one.epoch, seq))
            return
        maybe_tag = message.maybe_tag(received.properties)
        if maybe_tag is None or maybe_tag.id in self._taken_ms:
            return
        if dict(received.properties)[message.PROPERTY_BACKLOG] == "1":
            self._backlog[maybe_tag.id] = maybe_tag.rows
        else:
            blocks = message.decode(received.body).blocks
            self._taken_ms[maybe_tag.id] = [row[_TAKEN_AT] for block in blocks for row in block.rows]

    def _safe(self, one: MessageId) -> None:
        now_s = time.monotonic()
        now_ms = time.time_ns() / 1e6
        for taken_ms in self._taken_ms.pop(one, ()):
            self.seen.ages_s.append((now_ms - taken_ms) / 1000)
            self.seen.age_at_s.append(now_s)
            self.seen.live_rows += 1
        rows = self._backlog.pop(one, 0)
        if rows:
            self.seen.backlog_rows += rows
            self.seen.backlog_at_s = (self.seen.backlog_at_s[0] or now_s, now_s)
