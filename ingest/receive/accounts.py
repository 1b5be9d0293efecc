"""Row accounting: received = written + quarantined + pending, per gateway, always. Pure.

A row is received once, when its message enters, and settled once, as written or as quarantined. What a resend
repeats is not received again. All but `pending` only rise, so that Prometheus can take their rates.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from metering.readings import ReadingFlag


@dataclass(slots=True)
class Account:
    """Rows of one gateway since ingest started.

    Attributes:
        received: Rows that entered.
        written: Rows that are in InfluxDB.
        pending: Rows that are on their way.
        quarantined: Rows that are in the quarantine, by reason.
        messages: Messages that entered.
        duplicates: Messages received again while pending or soon after their acknowledgement.
        bad_values: Values nulled, by the bit that says why.
        discarded: Messages beyond the gateway's share of the queue; it still holds them.
        held_back: Messages with rows for the quarantine while the gateway's quota was used up; likewise.
        births_refused: Births that could not be used.
    """

    received: int = 0
    written: int = 0
    pending: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    duplicates: int = 0
    bad_values: Counter[ReadingFlag] = field(default_factory=Counter)
    discarded: int = 0
    held_back: int = 0
    births_refused: int = 0

    @property
    def balance(self) -> int:
        """Rows unaccounted for; 0 unless something is wrong."""
        return self.received - self.written - self.quarantined.total() - self.pending

    def receive(self, rows: int) -> None:
        """A message with so many rows has entered."""
        self.messages += 1
        self.received += rows
        self.pending += rows

    def settle(self, *, written: int, quarantined: Counter[str]) -> None:
        """Rows that were pending have found their place.

        Raises:
            ValueError: when more are settled than are pending.
        """
        settled = written + quarantined.total()
        if settled > self.pending:
            raise ValueError(f"{settled} rows settled, {self.pending} pending")
        self.pending -= settled
        self.written += written
        self.quarantined += quarantined


class Accounts:
    """The accounts of a park's gateways."""

    def __init__(self) -> None:
        self._by_gateway: dict[str, Account] = defaultdict(Account)

    def of(self, gateway: str) -> Account:
        """Return the account of a gateway; a new one is opened for a new gateway."""
        return self._by_gateway[gateway]

    def snapshot(self) -> dict[str, Account]:
        """Return the accounts by gateway; safe from any thread."""
        return dict(self._by_gateway)
