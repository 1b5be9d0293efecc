"""Writes events and gateway statuses into the park's rollup database, best effort.

Apart from raw data: while that database is missing or slow, points wait in bounded memory and the oldest are
dropped; a later point repeats the state.
"""

import asyncio
import logging
from collections import deque

from ingest.store.contract import Store
from ingest.store.errors import StoreError, StoreRefused, StoreTooLarge
from ingest.store.line_protocol import Field, encode_point
from metering.messages.status import COUNTERS, Status
from metering.series import GATEWAY_STATUS, rollup_database

_LOGGER = logging.getLogger(__name__)
_MAX_LINES = 10_000
_MAX_AT_ONCE = 1000


class Reports:
    """Lines that wait to be written into one park's rollup database."""

    def __init__(self, store: Store, park: str) -> None:
        self._store = store
        self._database = rollup_database(park)
        self._lines: deque[bytes] = deque(maxlen=_MAX_LINES)
        self._is_writable = True

    def add(self, line: bytes) -> None:
        """Take a line."""
        self._lines.append(line)

    async def write(self) -> None:
        """Try once to write what waits."""
        some = [self._lines.popleft() for _ in range(min(len(self._lines), _MAX_AT_ONCE))]
        if not some:
            return
        try:
            await asyncio.to_thread(self._store.write, self._database, b"\n".join(some))
        except (StoreRefused, StoreTooLarge):
            _LOGGER.exception("%s: %d points dropped", self._database, len(some))
        except StoreError as error:
            if self._is_writable:
                _LOGGER.warning("%s: events and gateway statuses wait: %s", self._database, error)
            self._is_writable = False
            # The newest of them, as far as there is room beside what has come meanwhile.
            room = _MAX_LINES - len(self._lines)
            self._lines.extendleft(some[: -room - 1 : -1])
        else:
            self._is_writable = True


def encode_status(park: str, one: Status, received_at_ms: int) -> bytes:
    """Return the line of a point in `gateway_status`; it always has every field, for the panels."""
    fields: dict[str, Field | None] = {
        "online": int(one.online),
        "read": sum(account.read for account in one.accounts),
        "stored": sum(account.stored for account in one.accounts),
        "quarantined": sum(account.quarantined for account in one.accounts),
        "held": sum(account.held for account in one.accounts),
        "dropped": sum(account.dropped for account in one.accounts),
        **{name: one.counters.get(name, 0) for name in COUNTERS},
    }
    return encode_point(GATEWAY_STATUS, (("gateway", one.gateway), ("park", park)), fields, received_at_ms)
