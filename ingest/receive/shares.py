"""How much of a park's queue each gateway may fill: its own delivery window, no more. Pure.

A gateway of ours never has more on its way than its window (`metering.messages.data.WINDOW_MESSAGES` and
`WINDOW_BYTES`), so it never exceeds its share. What exceeds it is discarded: the sender still holds the
message for want of an acknowledgement, and the other gateways' messages do not wait behind it.

Births are no part of a gateway's window and are never sent again, so they have a share of their own.
"""

from collections import defaultdict
from dataclasses import dataclass

from metering.messages.data import WINDOW_BYTES, WINDOW_MESSAGES


@dataclass(slots=True)
class _Used:
    messages: int = 0
    bytes: int = 0


class Shares:
    """What each topic, of data or births of one gateway, has on its way through a park's pipeline."""

    def __init__(self) -> None:
        self._used: dict[str, _Used] = defaultdict(_Used)

    def take(self, topic: str, size_bytes: int) -> bool:
        """Let a message in; false when it would exceed the share."""
        used = self._used[topic]
        if used.messages >= WINDOW_MESSAGES:
            return False
        # A single message may be larger than the window, as at the sender.
        if used.messages and used.bytes + size_bytes > WINDOW_BYTES:
            return False
        used.messages += 1
        used.bytes += size_bytes
        return True

    def give_back(self, topic: str, size_bytes: int) -> None:
        """Note that a message that was let in is settled or given up."""
        used = self._used[topic]
        used.messages -= 1
        used.bytes -= size_bytes
