"""Which messages are on their way, what may be sent now, and what must be sent again. Pure; time is given.

The receiver acknowledges end to end, so this window, not the broker's PUBACK, is the flow control.

Invariants:
- At most `messages` and `bytes` are outstanding, unless a single message alone is larger than `bytes`;
  backlog never takes more than its share, so a quarter is always left for live messages.
- Only outstanding messages are sent again, and none after `done` or `forget`.
- Every outstanding message becomes due again and again until it is done, at least once per
  `max_timeout_s` while somebody listens. Somebody listens while the link is up, a receiver has said that it
  is online, and the broker has not answered "no matching subscribers" since.
- While nobody listens, one message is a probe now and then: a lost "online" must not silence a gateway for
  good. An acknowledgement proves that somebody listens.

Time-outs follow RFC 6298: smoothed acknowledgement time plus four times its variation, measured on messages
sent once (Karn), doubled at each flight that times out, with jitter on top so that gateways do not march in
step.
"""

from collections.abc import Callable
from dataclasses import dataclass

from edge.uplink.pace import AckTimeout, Rate
from metering.messages.data import WINDOW_BYTES, WINDOW_MESSAGES, MessageId
from metering.program.backoff import JITTER, growing_s

# Stands for whoever acknowledges without having said that it is online.
_SOMEBODY = ""


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
    """The messages on their way from one sender.

    Args:
        limits: Sizes, rates and time-outs.
        random: Gives a number in [0, 1) for the jitter.
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
        self._unheard = False
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
        """Messages sent and not done; safe from any thread, unlike walking over them."""
        return len(self._flights)

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens, as far as is known."""
        return self._link_is_up and bool(self._online) and not self._unheard

    def may_send(self, item: Item, *, now_s: float) -> bool:
        """Tell whether a message may be sent for the first time now."""
        if item.id in self._flights or not self._link_is_up:
            return False
        if not self.is_heard:
            return not self._flights and now_s >= self._probe_at_s
        return self._fits(item) and (not item.backlog or self._rates_allow(now_s))

    def sent(self, item: Item, *, now_s: float) -> None:
        """Note a first sending.

        Raises:
            ValueError: when the message is outstanding already.
        """
        if item.id in self._flights:
            raise ValueError(f"{item.id} is outstanding already")
        if not self.is_heard:
            self._note_probe(now_s)
        self._flights[item.id] = _Flight(item, now_s, self._due_at_s(now_s))
        self._use(item, 1)
        if item.backlog:
            self._message_rate.take(1)
            self._byte_rate.take(item.size)

    def due(self, *, now_s: float) -> tuple[Item, ...]:
        """Return the messages to send again now, oldest first; each is noted as sent again."""
        if not self._link_is_up:
            return ()
        late = [flight for flight in self._flights.values() if flight.due_at_s <= now_s]
        if not self.is_heard:
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
        if not self.is_heard:
            self._somebody_came(_SOMEBODY)
        self.forget(message)
        return True

    def forget(self, message: MessageId) -> None:
        """Return a message up: it is neither awaited nor sent any more."""
        maybe_flight = self._flights.pop(message, None)
        if maybe_flight is not None:
            self._use(maybe_flight.item, -1)

    def link_up(self, *, now_s: float) -> None:
        """The broker is reached; who is online is learned anew."""
        self._link_is_up = True
        self._start_probing(now_s)

    def link_down(self) -> None:
        """The broker is lost, and perhaps whatever it had accepted."""
        self._link_is_up = False
        self._unheard = False
        self._online.clear()

    def receiver(self, name: str, *, online: bool) -> None:
        """A receiver said that it is online or offline; one that comes makes everything due at once."""
        if not online:
            self._online -= {name, _SOMEBODY}
        elif name not in self._online or self._unheard:
            self._somebody_came(name)

    def unheard(self, *, now_s: float) -> None:
        """The broker said that nobody subscribes to what was just sent."""
        if not self._unheard:
            self._unheard = True
            self._start_probing(now_s)

    def heard(self) -> None:
        """The broker passed a message on to a subscriber."""
        if self._unheard:
            self._unheard = False
            self._make_all_due()

    def _somebody_came(self, name: str) -> None:
        self._online.add(name)
        self._unheard = False
        self._make_all_due()

    def _make_all_due(self) -> None:
        for flight in self._flights.values():
            flight.due_at_s = flight.sent_at_s

    def _send_again(self, flight: _Flight, now_s: float) -> None:
        # Due because somebody came (due at the instant of sending) says nothing about time-outs.
        if self.is_heard and flight.due_at_s > flight.sent_at_s:
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
        # Both are asked, so that both are filled up to now.
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
