"""The rows of each epoch as an account. Pure.

Invariant, after every call: read = stored + quarantined + held + dropped, per epoch. Each move takes rows
from one column to another; only `read` adds any. After an unclean stop, what was read and neither sent nor
spilled is unknown: `restore` then sets read to what is known and marks it as unknown.
"""

from dataclasses import dataclass, replace

from metering.messages.status import EpochAccount


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """The disk's record of an epoch; `held` is counted from its messages.

    Attributes:
        ordinal: Rises with each start; orders the epochs of this outbox.
        clean: Whether the process of this epoch ended with everything written.
    """

    ordinal: int
    epoch: str
    read: int = 0
    stored: int = 0
    quarantined: int = 0
    dropped: int = 0
    read_is_known: bool = True
    clean: bool = False


def restore(record: EpochRecord, *, held: int) -> EpochAccount:
    """Return the account of an earlier epoch from the disk.

    Args:
        record: As last written.
        held: Rows of the epoch's messages on the disk.
    """
    known = record.stored + record.quarantined + record.dropped + held
    return EpochAccount(
        epoch=record.epoch,
        read=known,
        stored=record.stored,
        quarantined=record.quarantined,
        held=held,
        dropped=record.dropped,
        read_is_known=record.read_is_known and record.clean and record.read == known,
    )


class Ledger:
    """Accounts by epoch, in the order in which they were opened."""

    def __init__(self) -> None:
        self._accounts: dict[str, EpochAccount] = {}

    def __contains__(self, epoch: str) -> bool:
        return epoch in self._accounts

    def open(self, account: EpochAccount) -> None:
        """Add an account.

        Raises:
            ValueError: when it does not balance.
        """
        if account.balance:
            raise ValueError(f"account of epoch {account.epoch} is {account.balance} rows off")
        self._accounts[account.epoch] = account

    def account(self, epoch: str) -> EpochAccount:
        """Return one account; KeyError for an unknown epoch."""
        return self._accounts[epoch]

    @property
    def accounts(self) -> tuple[EpochAccount, ...]:
        """All accounts."""
        return tuple(self._accounts.values())

    def read(self, epoch: str, rows: int) -> None:
        """Add rows that were read and are held."""
        old = self._accounts[epoch]
        self._accounts[epoch] = replace(old, read=old.read + rows, held=old.held + rows)

    def acknowledge(self, epoch: str, *, rows: int, quarantined: int) -> None:
        """Move held rows to stored, some of them to quarantined."""
        old = self._accounts[epoch]
        apart = min(max(quarantined, 0), rows)
        self._accounts[epoch] = replace(
            old,
            held=old.held - rows,
            stored=old.stored + rows - apart,
            quarantined=old.quarantined + apart,
        )

    def drop(self, epoch: str, rows: int) -> None:
        """Move held rows to dropped."""
        old = self._accounts[epoch]
        self._accounts[epoch] = replace(old, held=old.held - rows, dropped=old.dropped + rows)

    def close(self, epoch: str) -> None:
        """Remove an account."""
        del self._accounts[epoch]
