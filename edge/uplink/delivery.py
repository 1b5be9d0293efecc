"""Delivery end to end: sends an outbox's messages over a link until ingest acknowledges them.

Handles data messages and acknowledgements only; birth and status belong to `edge.uplink.session`.

Contract:
- Live messages go first, backlog fills what is left of the window at a limited rate, and both travel with
  the bytes they were sealed with.
- A message leaves the outbox only by an acknowledgement of its (epoch, seq). A PUBACK only tells whether
  there is a subscriber.
- The outbox knows which messages are held, the window when each is due. A message that the outbox dropped
  while it was in flight leaves the window when it is due next.
- Acknowledgements of epochs or messages that are not outstanding here are ignored.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge.outbox.entry import Entry
from edge.outbox.outbox import Outbox
from edge.uplink.mqtt import MqttLink, Puback, Received
from edge.uplink.window import DeliveryWindow, Item
from metering.errors import MalformedMessage
from metering.messages import ack, status, topics
from metering.messages.ack import Ack, EpochAck
from metering.messages.data import MessageId, to_properties

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryCounters:
    """Totals since the start.

    Attributes:
        sent: Messages sent for the first time.
        resent: Sendings after the first.
        bytes_sent: Bytes of bodies, every sending counted.
        unreadable: Acknowledgements and statuses that could not be decoded.
    """

    sent: int = 0
    resent: int = 0
    bytes_sent: int = 0
    unreadable: int = 0


class Delivery:
    """Sends what an outbox holds.

    Args:
        park: Topic level; data goes to this park's and gateway's topic, acknowledgements come on theirs.
        gateway: Topic level.
        outbox: Holds the messages to send.
        window: Decides which message may be sent when.
        monotonic_s: Clock of the window.
        on_ack: Called with each acknowledgement of something outstanding after it was applied.
    """

    def __init__(
        self,
        *,
        park: str,
        gateway: str,
        outbox: Outbox,
        window: DeliveryWindow,
        monotonic_s: Callable[[], float],
        on_ack: Callable[[Ack], None] = lambda _ack: None,
    ) -> None:
        self._park = park
        self._data_topic = topics.data(park, gateway)
        self._ack_topic = topics.ack(park, gateway)
        self._outbox = outbox
        self._window = window
        self._monotonic_s = monotonic_s
        self._on_ack = on_ack
        self._wake = asyncio.Event()
        self._counters = DeliveryCounters()

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """What the link must subscribe to."""
        return (self._ack_topic, topics.ingest_status(self._park))

    @property
    def counters(self) -> DeliveryCounters:
        """Totals."""
        return self._counters

    def wake(self) -> None:
        """Make `wait` return, because there may be something to send."""
        self._wake.set()

    async def wait(self, seconds: float) -> None:
        """Wait until there may be something to do, at most for some seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    def link_up(self) -> None:
        """Note that the link is up."""
        self._window.link_up(now_s=self._monotonic_s())
        self.wake()

    def link_down(self) -> None:
        """Note that the link is lost, possibly with messages that it had taken."""
        self._window.link_down()

    def received(self, message: Received) -> None:
        """Handle an acknowledgement or a receiver's status; ignore other messages."""
        try:
            if message.topic == self._ack_topic:
                self._acknowledge(ack.decode(message.body))
            else:
                self._note_receiver(message)
        except MalformedMessage as error:
            self._counters = replace(self._counters, unreadable=self._counters.unreadable + 1)
            _LOGGER.warning("unreadable message on %s: %s", message.topic, error)
        self.wake()

    async def pump(self, link: MqttLink) -> None:
        """Send all that may be sent now."""
        for item in self._window.due(now_s=self._monotonic_s()):
            await self._send_again(link, item)
        while link.is_up and await self._send_next(link):
            pass

    async def _send_next(self, link: MqttLink) -> bool:
        maybe_live = self._outbox.maybe_live()
        if maybe_live is not None and self._send_first(link, maybe_live, backlog=False):
            return True
        maybe_backlog = await self._outbox.maybe_backlog()
        return maybe_backlog is not None and self._send_first(link, maybe_backlog, backlog=True)

    def _send_first(self, link: MqttLink, entry: Entry, *, backlog: bool) -> bool:
        item = Item(entry.id, len(entry.body), backlog)
        if not self._window.may_send(item, now_s=self._monotonic_s()):
            return False
        self._window.sent(item, now_s=self._monotonic_s())
        self._outbox.hand_out(entry)
        self._counters = replace(self._counters, sent=self._counters.sent + 1)
        self._publish(link, entry, backlog=backlog)
        return True

    async def _send_again(self, link: MqttLink, item: Item) -> None:
        maybe_entry = await self._outbox.maybe_entry(item.id)
        if maybe_entry is not None:
            self._counters = replace(self._counters, resent=self._counters.resent + 1)
            self._publish(link, maybe_entry, backlog=item.backlog)
        elif not self._outbox.is_held(item.id):
            self._window.forget(item.id)

    def _publish(self, link: MqttLink, entry: Entry, *, backlog: bool) -> None:
        properties = to_properties(entry.tag, backlog=backlog, deflated=entry.is_deflated)
        future = link.publish(self._data_topic, entry.body, properties=tuple(properties))
        future.add_done_callback(self._note_puback)
        self._counters = replace(self._counters, bytes_sent=self._counters.bytes_sent + len(entry.body))

    def _note_puback(self, future: "asyncio.Future[Puback]") -> None:
        if future.cancelled():
            return
        if future.result() is Puback.NO_SUBSCRIBER:
            self._window.no_subscriber(now_s=self._monotonic_s())
        elif future.result() is Puback.TAKEN:
            self._window.subscriber_found()
            self.wake()

    def _acknowledge(self, received: Ack) -> None:
        is_ours = False
        for one in received.acks:
            for item in self._window.outstanding:
                if ack.covers(one, item.id):
                    is_ours = True
                    self._window.done(item.id, now_s=self._monotonic_s())
                    self._outbox.done(item.id, quarantined=_quarantined(one, item.id))
        if is_ours:
            self._on_ack(received)

    def _note_receiver(self, message: Received) -> None:
        match topics.maybe_parse(message.topic):
            case topics.IngestTopic(instance=instance, kind="status"):
                if status.is_holding(message.body):
                    _LOGGER.warning("ingest %s takes no rows until its clock is right", instance)
                self._window.receiver(instance, online=status.decode_ingest(message.body))
            case _:
                _LOGGER.debug("message on %s ignored", message.topic)


def _quarantined(one: EpochAck, message: MessageId) -> int:
    return sum(part.rows for part in one.quarantined if part.seq == message.seq)
