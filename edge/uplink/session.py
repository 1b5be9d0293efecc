"""The gateway's connection to its park: birth, data, status, and the last status at a stop.

Contract:
- At each connect the birth is published (retained) before the first data, then a status (retained); a status
  again every `STATUS_EVERY_S`. The last will is a status that is offline.
- Accounts in a status that the broker took are reported to the outbox, which may then delete old epochs.
- After `leave`, `run` waits up to `LAST_ACKS_S` for acknowledgements, has the outbox write the rest to the
  disk, publishes a last status (offline) with final accounts, and ends.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from edge.outbox.outbox import Outbox
from edge.uplink.delivery import Delivery
from edge.uplink.mqtt import LinkOptions, MqttLink, Puback, Received, Will
from metering.messages import birth, status, topics
from metering.messages.birth import Birth
from metering.messages.status import EpochAccount, Status
from metering.program.connection import Broker

STATUS_EVERY_S = 30.0
#: How long a stop waits for acknowledgements, and then for the broker to take the last status.
LAST_ACKS_S = 5.0
_LAST_STATUS_S = 2.0
_TICK_S = 0.2


@dataclass(frozen=True, slots=True)
class GatewayIdentity:
    """Which gateway this is, and which run of it."""

    park: str
    gateway: str
    epoch: str
    software: str


class Uplink:
    """Keeps a gateway connected; it is the link's listener.

    Args:
        identity: For the topics, the client id and the last will.
        broker: Where to connect to.
        outbox: Gets the accounts of each status that the broker has taken.
        delivery: Sends what the outbox holds.
        make_birth: Returns the birth to publish now.
        make_status: Returns the status to publish now, given whether the gateway stays online.
        monotonic_s: Clock for the status interval and for the end.
    """

    def __init__(
        self,
        identity: GatewayIdentity,
        broker: Broker,
        *,
        outbox: Outbox,
        delivery: Delivery,
        make_birth: Callable[[], Birth],
        make_status: Callable[[bool], Status],
        monotonic_s: Callable[[], float],
    ) -> None:
        self._identity = identity
        self._outbox = outbox
        self._delivery = delivery
        self._make_birth = make_birth
        self._make_status = make_status
        self._monotonic_s = monotonic_s
        self._status_topic = topics.status(identity.park, identity.gateway)
        self._status_at_s = 0.0
        self._leave_by_s = float("inf")
        self._link = MqttLink(self._options(broker), self)

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted us."""
        return self._link.is_up

    @property
    def problem(self) -> str:
        """What is wrong with the connection, in words; empty when nothing is."""
        return self._link.problem

    async def run(self) -> None:
        """Keep connected and deliver, until `leave` was called and the last status is published."""
        async with self._link:
            while not self._may_leave:
                await self._delivery.pump(self._link)
                if self._link.is_up and self._monotonic_s() >= self._status_at_s:
                    self._publish_status()
                await self._delivery.wait(_TICK_S)
            await self._outbox.settle()
            if self._link.is_up:
                await asyncio.wait([self._publish_status(online=False)], timeout=_LAST_STATUS_S)

    def leave(self) -> None:
        """Make `run` end; no more messages are appended."""
        self._leave_by_s = self._monotonic_s() + LAST_ACKS_S
        self._delivery.wake()

    def announce(self) -> None:
        """Publish the birth; called at each connect, and when a meter has changed."""
        body = birth.encode(self._make_birth())
        self._link.publish(topics.birth(self._identity.park, self._identity.gateway), body, retain=True)

    def link_up(self) -> None:
        """Publish birth and status before any data."""
        self.announce()
        self._publish_status()
        self._delivery.link_up()

    def link_down(self, reason: str) -> None:
        """Stop sending until the link is back; the link logs the reason."""
        del reason  # logged by the link
        self._delivery.link_down()

    def received(self, message: Received) -> None:
        """Handle an acknowledgement or a receiver's status."""
        self._delivery.received(message)

    @property
    def _may_leave(self) -> bool:
        if self._leave_by_s == float("inf"):
            return False
        mine = [one for one in self._outbox.accounts if one.epoch == self._identity.epoch]
        is_waiting = self._link.is_up and any(account.held for account in mine)
        return not is_waiting or self._monotonic_s() >= self._leave_by_s

    def _publish_status(self, *, online: bool = True) -> "asyncio.Future[Puback]":
        self._status_at_s = self._monotonic_s() + STATUS_EVERY_S
        sent = self._make_status(online)
        future = self._link.publish(self._status_topic, status.encode(sent), retain=True)
        future.add_done_callback(partial(self._note_puback, sent.accounts))
        return future

    def _note_puback(self, accounts: tuple[EpochAccount, ...], future: "asyncio.Future[Puback]") -> None:
        # Accounts count as reported only after PUBACK; an undelivered status is overwritten by the next.
        if not future.cancelled() and future.result() is Puback.TAKEN:
            self._outbox.reported(accounts)

    def _options(self, broker: Broker) -> LinkOptions:
        identity = self._identity
        last = status.offline(gateway=identity.gateway, epoch=identity.epoch, software=identity.software)
        return LinkOptions(
            broker=broker,
            client_id=f"zonewise-{identity.park}-{identity.gateway}",
            maybe_will=Will(self._status_topic, status.encode(last)),
            subscriptions=self._delivery.subscriptions,
        )
