"""Which messages are on their way and which were acknowledged lately. Pure.

A message is known by (gateway, epoch, seq). While it is pending, a resend is dropped. After its
acknowledgement a resend means that the acknowledgement was lost: it is sent again from the last `MAX_RECENT`
outcomes of a park, if the body is the same, and neither journaled nor written again. An older resend, or one
after a restart, takes the whole way once more, which does no harm: writing is idempotent.
"""

from collections import OrderedDict
from dataclasses import dataclass

from ingest.receive.acks import Outcome
from metering.messages.data import MessageId

MAX_RECENT = 10_000


@dataclass(frozen=True, slots=True)
class _Recent:
    body_hash: int
    outcome: Outcome


class Deliveries:
    """The messages of one park."""

    def __init__(self, max_recent: int = MAX_RECENT) -> None:
        self._max_recent = max_recent
        self._pending: set[tuple[str, MessageId]] = set()
        self._recent: OrderedDict[tuple[str, MessageId], _Recent] = OrderedDict()

    def is_pending(self, gateway: str, message: MessageId) -> bool:
        """Tell whether a message is on its way."""
        return (gateway, message) in self._pending

    def begin(self, gateway: str, message: MessageId) -> bool:
        """Note a message that enters; false when it is on its way already."""
        key = (gateway, message)
        if key in self._pending:
            return False
        self._pending.add(key)
        return True

    def cancel(self, gateway: str, message: MessageId) -> None:
        """Note that a message that entered was not taken after all."""
        self._pending.discard((gateway, message))

    def end(self, gateway: str, outcome: Outcome, body: bytes) -> None:
        """Note that a message is acknowledged."""
        key = (gateway, outcome.id)
        self._pending.discard(key)
        self._recent[key] = _Recent(hash(body), outcome)
        self._recent.move_to_end(key)
        while len(self._recent) > self._max_recent:
            self._recent.popitem(last=False)

    def maybe_outcome(self, gateway: str, message: MessageId, body: bytes) -> Outcome | None:
        """Return what became of the same message, if it was acknowledged lately."""
        maybe_recent = self._recent.get((gateway, message))
        if maybe_recent is None or maybe_recent.body_hash != hash(body):
            return None
        return maybe_recent.outcome
