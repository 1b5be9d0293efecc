"""Which messages are in flight, what may be sent now, and what must be resent. Pure; time is an argument.

The receiver acknowledges end to end, so this window, not the broker's PUBACK, is the flow control.

Invariants:
- At most `messages` and `bytes` are outstanding, unless a single message alone is larger than `bytes`;
  backlog never takes more than its share, so a quarter is always left for live messages.
- Only outstanding messages are resent, and none after `done` or `forget`.
- Every outstanding message becomes due repeatedly until it is done, at least once per `max_timeout_s` while
  there is a receiver. There is one while the link is up, a receiver has published that it is online, and the
  broker has not answered "no matching subscribers" since.
- While there is none, single messages are sent as probes, with growing pauses: otherwise a gateway that
  missed an "online" would never send again. An acknowledgement proves that a receiver is online.

Time-outs follow RFC 6298: smoothed acknowledgement time plus four times its variation, measured on messages
sent once (Karn), doubled at each flight that times out, plus jitter so that gateways do not resend at
the same instant.
"""

from collections.abc import Callable
from dataclasses import dataclass

from edge.uplink.pace import AckTimeout, Rate
from metering.messages.data import WINDOW_BYTES, WINDOW_MESSAGES, MessageId
from metering.program.backoff import JITTER, growing_s

# Name of a receiver that acknowledges without having published that it is online.
_UNNAMED = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLimits:
    """How much may be outstanding, and how fast backlog is sent.

    Attributes:
        messages: Outstanding at most.
        bytes: Outstanding at most.
        live_share: Part of both that backlog may not take.
        backlog_messages_per_s: Rate of first sendings of backlog.
        backlog_bytes_per_s: Likewise, in bytes.
        first_timeout_s: Before any acknowledgement was measured.
        min_timeout_s: However fast acknowledgements are.
        max_timeout_s: However slow, jitter included.
    """

    messages: int = WINDOW_MESSAGES
    bytes: int = WINDOW_BYTES
    live_share: float = 0.25
    backlog_messages_per_s: float = 500.0
    backlog_bytes_per_s: float = 500_000.0
    first_timeout_s: float = 5.0
    min_timeout_s: float = 2.0
    max_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if self.messages < 1 or self.bytes < 1 or not 0 <= self.live_share < 1:
            raise ValueError(f"window limits {self} leave no room")
        if not 0 < self.min_timeout_s <= self.first_timeout_s <= self.max_timeout_s:
            raise ValueError(f"time-outs of {self} are not in order")


@dataclass(frozen=True, slots=True)
class Item:
    """A message as the window sees it: `size` in bytes, and whether it is backlog."""

    id: MessageId
    size: int
    backlog: bool


@dataclass(slots=True)
class _Flight:
    item: Item
    sent_at_s: float
    due_at_s: float
    sent_once: bool = True


class DeliveryWindow:
    """The messages in flight from one sender.

    Args:
        limits: Sizes, rates and time-outs.
        random: Returns a number in [0, 1) for the jitter.
    """

    def __init__(self, limits: WindowLimits | None = None, *, random: Callable[[], float]) -> None:
        self._limits = limits or WindowLimits()
        self._random = random
        self._flights: dict[MessageId, _Flight] = {}
        self._used = [0, 0]
        self._used_by_backlog = [0, 0]
        self._timeout = AckTimeout(
            first_s=self._limits.first_timeout_s,
            min_s=self._limits.min_timeout_s,
            max_s=self._limits.max_timeout_s,
        )
        self._message_rate = Rate(self._limits.backlog_messages_per_s)
        self._byte_rate = Rate(self._limits.backlog_bytes_per_s)
        self._link_is_up = False
        self._online: set[str] = set()
        self._no_subscriber = False
        self._probe_at_s = 0.0
        self._probes_in_a_row = 0
        self._round_trip_s = float("inf")

    @property
    def round_trip_s(self) -> float:
        """From sending to acknowledgement of the last message done; infinity when it was sent repeatedly."""
        return self._round_trip_s

    @property
    def outstanding(self) -> tuple[Item, ...]:
        """Messages sent and not done, in the order of their first sending."""
        return tuple(flight.item for flight in self._flights.values())

    def __contains__(self, message: MessageId) -> bool:
        return message in self._flights

    def __len__(self) -> int:
        """Return the number of messages sent and not done; safe from any thread, unlike iterating."""
        return len(self._flights)

    @property
    def has_receiver(self) -> bool:
        """Whether a receiver is online, as far as is known."""
        return self._link_is_up and bool(self._online) and not self._no_subscriber

    def may_send(self, item: Item, *, now_s: float) -> bool:
        """Tell whether a message may be sent for the first time now."""
        if item.id in self._flights or not self._link_is_up:
            return False
        if not self.has_receiver:
            return not self._flights and now_s >= self._probe_at_s
        return self._fits(item) and (not item.backlog or self._rates_allow(now_s))

    def sent(self, item: Item, *, now_s: float) -> None:
        """Note a first sending.

        Raises:
            ValueError: when the message is outstanding already.
        """
        if item.id in self._flights:
            raise ValueError(f"{item.id} is outstanding already")
        if not self.has_receiver:
            self._note_probe(now_s)
        self._flights[item.id] = _Flight(item, now_s, self._due_at_s(now_s))
        self._use(item, 1)
        if item.backlog:
            self._message_rate.take(1)
            self._byte_rate.take(item.size)

    def due(self, *, now_s: float) -> tuple[Item, ...]:
        """Return the messages to resend now, oldest first; each is noted as resent."""
        if not self._link_is_up:
            return ()
        late = [flight for flight in self._flights.values() if flight.due_at_s <= now_s]
        if not self.has_receiver:
            late = list(self._flights.values())[:1] if now_s >= self._probe_at_s else []
            if late:
                self._note_probe(now_s)
        for flight in late:
            self._send_again(flight, now_s)
        return tuple(flight.item for flight in late)

    def done(self, message: MessageId, *, now_s: float) -> bool:
        """Note an end-to-end acknowledgement; False for a message that is not outstanding."""
        maybe_flight = self._flights.get(message)
        if maybe_flight is None:
            return False
        self._round_trip_s = float("inf")
        if maybe_flight.sent_once:
            self._round_trip_s = max(0.0, now_s - maybe_flight.sent_at_s)
            self._timeout.measured(self._round_trip_s)
        if not self.has_receiver:
            self._note_online(_UNNAMED)
        self.forget(message)
        return True

    def forget(self, message: MessageId) -> None:
        """Remove a message: its acknowledgement is not expected and it is not resent."""
        maybe_flight = self._flights.pop(message, None)
        if maybe_flight is not None:
            self._use(maybe_flight.item, -1)

    def link_up(self, *, now_s: float) -> None:
        """Note a new connection to the broker, which publishes who is online."""
        self._link_is_up = True
        self._start_probing(now_s)

    def link_down(self) -> None:
        """Note that the connection is lost; messages that the broker had accepted may be lost too."""
        self._link_is_up = False
        self._no_subscriber = False
        self._online.clear()

    def receiver(self, name: str, *, online: bool) -> None:
        """Note that a receiver is online or offline; a new one makes all outstanding messages due."""
        if not online:
            self._online -= {name, _UNNAMED}
        elif name not in self._online or self._no_subscriber:
            self._note_online(name)

    def no_subscriber(self, *, now_s: float) -> None:
        """Note that the broker answered "no matching subscribers"."""
        if not self._no_subscriber:
            self._no_subscriber = True
            self._start_probing(now_s)

    def subscriber_found(self) -> None:
        """Note that the broker has passed a message to a subscriber."""
        if self._no_subscriber:
            self._no_subscriber = False
            self._make_all_due()

    def _note_online(self, name: str) -> None:
        self._online.add(name)
        self._no_subscriber = False
        self._make_all_due()

    def _make_all_due(self) -> None:
        for flight in self._flights.values():
            flight.due_at_s = flight.sent_at_s

    def _send_again(self, flight: _Flight, now_s: float) -> None:
        # Due because a receiver came online (due at the instant of sending): not a time-out.
        if self.has_receiver and flight.due_at_s > flight.sent_at_s:
            self._timeout.expired(sent_at_s=flight.sent_at_s, now_s=now_s)
        flight.sent_once = False
        flight.sent_at_s = now_s
        flight.due_at_s = self._due_at_s(now_s)

    def _due_at_s(self, now_s: float) -> float:
        return now_s + self._timeout.seconds(self._random())

    def _start_probing(self, now_s: float) -> None:
        self._probes_in_a_row = 0
        self._probe_at_s = now_s + self._limits.min_timeout_s

    def _note_probe(self, now_s: float) -> None:
        self._probes_in_a_row += 1
        self._probe_at_s = now_s + growing_s(
            self._probes_in_a_row,
            first_s=self._limits.min_timeout_s,
            max_s=self._limits.max_timeout_s / (1 + JITTER),
            jitter=self._random(),
        )

    def _rates_allow(self, now_s: float) -> bool:
        # No short circuit: each call also refills its bucket.
        return all([self._message_rate.allows(now_s), self._byte_rate.allows(now_s)])

    def _fits(self, item: Item) -> bool:
        if not _has_room(self._used, item.size, self._limits, 1.0):
            return False
        share = 1 - self._limits.live_share
        return not item.backlog or _has_room(self._used_by_backlog, item.size, self._limits, share)

    def _use(self, item: Item, sign: int) -> None:
        for used in (self._used, self._used_by_backlog) if item.backlog else (self._used,):
            used[0] += sign
            used[1] += sign * item.size


def _has_room(used: list[int], size: int, limits: WindowLimits, share: float) -> bool:
    messages, in_bytes = used
    if not messages:
        return True
    return messages + 1 <= limits.messages * share and in_bytes + size <= limits.bytes * share
