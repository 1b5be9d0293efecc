"""The part of the outbox that is on disk: a SQLite file. Used by one thread, the outbox's writer.

Contract and invariants:
- A `Batch` is written as a whole, fsynced (WAL, synchronous=FULL), or not at all.
- After each batch the file holds at most `max_bytes` of messages, none known to be older than `max_age_s`.
  The oldest are dropped first, counted in their epoch's record by the same transaction, and returned.
- Messages come back oldest first: by epoch in the order of the starts, then by seq, with the bytes they were
  given.
- A file that is not a usable outbox is renamed, never deleted and never a reason not to start.

`edge.outbox.sql` has the layout and the statements.
"""

import contextlib
import sqlite3
import time
from dataclasses import dataclass, replace
from pathlib import Path

from edge.errors import OutboxCorrupt, OutboxUnavailable
from edge.outbox import sql as outbox_sql
from edge.outbox.entry import Entry
from metering.messages.data import MessageId
from metering.messages.status import EpochAccount

_FILE_SUFFIXES = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """Bounds of the file; `max_bytes` counts bodies and `ENTRY_OVERHEAD_BYTES` each."""

    max_bytes: int
    max_age_s: float


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening found.

    Attributes:
        earlier: Other epochs, oldest first.
        maybe_set_aside: Where an unusable file was moved to.
    """

    earlier: tuple[outbox_sql.HeldEpoch, ...]
    maybe_set_aside: Path | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction.

    Attributes:
        now_ms: UTC ms, 0 where the clock is not known: then nothing is dropped for its age.
        entries: Messages to keep.
        done: Messages to delete.
        accounts: Accounts as they are once the batch is written, but for what it drops.
        forgotten: Epochs to delete.
        clean: Whether the present epoch ends with this batch.
    """

    now_ms: int
    entries: tuple[Entry, ...] = ()
    done: tuple[MessageId, ...] = ()
    accounts: tuple[EpochAccount, ...] = ()
    forgotten: tuple[str, ...] = ()
    clean: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that was dropped to stay within the limits."""

    id: MessageId
    rows: int


class OutboxDisk:
    """The file of one gateway process; it may be opened several times."""

    def __init__(self, path: Path, limits: DiskLimits, *, epoch: str) -> None:
        self._path = path
        self._limits = limits
        self._epoch = epoch
        self._maybe_connection: sqlite3.Connection | None = None
        self._ordinals: dict[str, int] = {}
        self._bytes = 0
        self._maybe_oldest_at_ms: int | None = None

    def open(self) -> Opened:
        """Open the file, with the present epoch's record in it; an unusable one is renamed.

        Raises:
            OutboxUnavailable: when the disk refuses.
        """
        try:
            return self._open()
        except OutboxCorrupt:
            return self.set_aside()

    def set_aside(self) -> Opened:
        """Rename the file, then open a new one.

        Raises:
            OutboxUnavailable: when the disk refuses.
        """
        self.close()
        moved = self._path.with_name(
            f"{self._path.name}.unusable-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        )
        with outbox_sql.translated():
            for suffix in _FILE_SUFFIXES:
                part = self._path.with_name(self._path.name + suffix)
                if part.exists():
                    part.rename(moved.with_name(moved.name + suffix))
        return replace(self._open(), maybe_set_aside=moved)

    def commit(self, batch: Batch) -> tuple[Dropped, ...]:
        """Write a batch; return what was dropped to stay within the limits.

        Raises:
            OutboxUnavailable: when the disk refuses; nothing of the batch is written.
            OutboxCorrupt: when the file turns out to be unusable.
        """
        connection = self._connection
        with outbox_sql.translated():
            connection.execute("BEGIN IMMEDIATE")
            try:
                size = self._bytes - self._delete(connection, batch.done) + self._insert(connection, batch)
                self._write_accounts(connection, batch)
                victims, size = self._drop(connection, size, batch.now_ms)
                maybe_oldest_at_ms = outbox_sql.maybe_oldest_at_ms(connection)
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._abandon(connection, error)
                raise
        self._bytes, self._maybe_oldest_at_ms = size, maybe_oldest_at_ms
        for epoch in batch.forgotten:
            self._ordinals.pop(epoch, None)
        return tuple(Dropped(self._id(victim.key), victim.rows) for victim in victims)

    def give_back(self) -> None:
        """Return freed pages to the file system.

        Raises:
            OutboxUnavailable: when the disk refuses.
        """
        with outbox_sql.translated():
            outbox_sql.give_back(self._connection, is_empty=not self._bytes)

    def fetch(self, *, after_key: int, before: MessageId, limit: int) -> tuple[tuple[int, Entry], ...]:
        """Return the oldest messages after a key (0 = from the start) and before a message, with their keys.

        Raises:
            OutboxUnavailable: when the disk refuses.
            OutboxCorrupt: when the file turns out to be unusable.
        """
        with outbox_sql.translated():
            found = outbox_sql.fetch(self._connection, after_key, self._key(before), limit)
        return tuple((key, Entry(self._id(key), rows, body)) for key, rows, body in found)

    def maybe_body(self, message: MessageId) -> bytes | None:
        """Return one message's bytes; `None` when it is not here.

        Raises:
            OutboxUnavailable: when the disk refuses.
            OutboxCorrupt: when the file turns out to be unusable.
        """
        if message.epoch not in self._ordinals:
            return None
        with outbox_sql.translated():
            return outbox_sql.maybe_body(self._connection, self._key(message))

    def close(self) -> None:
        """Close the file; what was committed stays."""
        if self._maybe_connection is not None:
            self._maybe_connection.close()
            self._maybe_connection = None

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    @property
    def is_open(self) -> bool:
        """Whether the file can be used."""
        return self._maybe_connection is not None

    @property
    def bytes(self) -> int:
        """Bytes of messages in the file."""
        return self._bytes

    @property
    def maybe_oldest_at_ms(self) -> int | None:
        """When the oldest message here was written, UTC ms, 0 = at an unknown time; `None` = no message."""
        return self._maybe_oldest_at_ms

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._maybe_connection is None:
            raise OutboxUnavailable(f"{self._path} is not open")
        return self._maybe_connection

    def _open(self) -> Opened:
        self.close()
        with outbox_sql.translated():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=1.0)
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(connection.close)
                outbox_sql.prepare(connection)
                opened = self._load(connection)
                on_failure.pop_all()
        self._maybe_connection = connection
        return opened

    def _abandon(self, connection: sqlite3.Connection, error: sqlite3.Error) -> None:
        """Roll back a failed transaction; close the file unless the disk is only full."""
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if outbox_sql.code(error) != sqlite3.SQLITE_FULL:
            self.close()

    def _load(self, connection: sqlite3.Connection) -> Opened:
        held = outbox_sql.held_epochs(connection)
        self._bytes = outbox_sql.total_bytes(connection)
        self._maybe_oldest_at_ms = outbox_sql.maybe_oldest_at_ms(connection)
        self._ordinals = {one.record.epoch: one.record.ordinal for one in held}
        if self._epoch not in self._ordinals:
            ordinal = max(self._ordinals.values(), default=0) + 1
            outbox_sql.add_epoch(connection, ordinal, self._epoch)
            self._ordinals[self._epoch] = ordinal
        return Opened(tuple(one for one in held if one.record.epoch != self._epoch))

    def _delete(self, connection: sqlite3.Connection, done: tuple[MessageId, ...]) -> int:
        keys = [self._key(message) for message in done if message.epoch in self._ordinals]
        return outbox_sql.delete(connection, keys)

    def _insert(self, connection: sqlite3.Connection, batch: Batch) -> int:
        rows = [(self._key(entry.id), entry.rows, batch.now_ms, entry.body) for entry in batch.entries]
        return outbox_sql.insert(connection, rows)

    def _write_accounts(self, connection: sqlite3.Connection, batch: Batch) -> None:
        for account in batch.accounts:
            outbox_sql.write_account(connection, account)
        for epoch in batch.forgotten:
            outbox_sql.forget(connection, epoch)
        outbox_sql.write_clean(connection, self._epoch, clean=batch.clean)

    def _drop(
        self, connection: sqlite3.Connection, size: int, now_ms: int
    ) -> tuple[list[outbox_sql.Victim], int]:
        """Delete the oldest messages until the limits hold; return them and the size left."""
        cutoff_ms = now_ms - int(self._limits.max_age_s * 1000)
        victims: list[outbox_sql.Victim] = []
        while True:
            chunk = outbox_sql.oldest(connection)
            count = outbox_sql.how_many_to_drop(
                chunk, excess=size - self._limits.max_bytes, cutoff_ms=cutoff_ms
            )
            for victim in chunk[:count]:
                outbox_sql.drop(connection, victim)
                size -= victim.size
            victims += chunk[:count]
            if not count or count < len(chunk):
                return victims, size

    def _key(self, message: MessageId) -> int:
        return outbox_sql.key(self._ordinals[message.epoch], message.seq)

    def _id(self, key: int) -> MessageId:
        ordinal, seq = outbox_sql.split(key)
        epoch = next(epoch for epoch, known in self._ordinals.items() if known == ordinal)
        return MessageId(epoch, seq)
