"""Statuses of the gateways: reads them, and counts those that cannot be read.

Invariants:
- Of each gateway the newest status since the last `take` is kept and no other, so that one that sends many
  does not displace those of others.
- The log names a gateway whose statuses cannot be read once, until it sends a good one again.
"""

import logging
from collections import Counter
from collections.abc import Mapping

from ingest.receive.subscriber import Arrival
from metering.errors import MalformedMessage
from metering.messages import status
from metering.messages.status import Status

_LOGGER = logging.getLogger(__name__)


class NewestStatuses:
    """A park's gateways' statuses; used in the event loop, counted from any thread."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[Status, int]] = {}
        self._unreadable: Counter[str] = Counter()
        self._logged: set[str] = set()

    @property
    def unreadable(self) -> Mapping[str, int]:
        """Statuses that could not be read since the start, by gateway."""
        return dict(self._unreadable)

    def note(self, arrival: Arrival) -> Status | None:
        """Read a status; `None` = it cannot be read, which is counted."""
        gateway = arrival.topic.gateway
        try:
            decoded = _decode(arrival.body, gateway)
        except MalformedMessage as error:
            self.refuse(gateway, error)
            return None
        self._logged.discard(gateway)
        self._newest[gateway] = decoded, arrival.received_at_ms
        return decoded

    def refuse(self, gateway: str, error: Exception) -> None:
        """Count a status that cannot be used."""
        self._unreadable[gateway] += 1
        if gateway not in self._logged:
            self._logged.add(gateway)
            _LOGGER.warning(
                "statuses of %s cannot be read, the first one because: %s; they are counted and skipped",
                gateway,
                error,
            )

    def take(self) -> list[tuple[Status, int]]:
        """Return the statuses that are new since the last time, each with its receipt, UTC milliseconds."""
        taken, self._newest = self._newest, {}
        return list(taken.values())


def _decode(body: bytes, gateway: str) -> Status:
    decoded = status.decode(body)
    if decoded.gateway != gateway:
        raise MalformedMessage("gateway_mismatch", f"the body says {decoded.gateway!r}")
    return decoded
