"""The outbox's file, statement by statement: layout 1.

`epoch` has one row per start of a gateway process, `message` one per message under the key
ordinal * 2^40 + seq, so that one integer is both identity and order. `spilled_at_ms` is 0 where the clock was
not known. Decisions are made in `edge.outbox.disk`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from edge.errors import OutboxCorrupt, OutboxUnavailable
from edge.outbox.ledger import EpochRecord
from metering.messages.status import EpochAccount

_VERSION = 1
_SEQ_BITS = 40
#: What a message takes in the file beside its body.
ENTRY_OVERHEAD_BYTES = 48
#: How many of the oldest messages are read at a time.
_CHUNK = 256
_VACUUM_PAGES = 4096
_WAL_LIMIT_BYTES = 4 * 1024 * 1024
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_SCHEMA = """
CREATE TABLE epoch (
    ordinal INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE,
    read INTEGER NOT NULL, stored INTEGER NOT NULL, quarantined INTEGER NOT NULL, dropped INTEGER NOT NULL,
    read_is_known INTEGER NOT NULL, clean INTEGER NOT NULL);
CREATE TABLE message (
    key INTEGER PRIMARY KEY, rows INTEGER NOT NULL, spilled_at_ms INTEGER NOT NULL, body BLOB NOT NULL);
"""


class Victim(NamedTuple):
    """One of the oldest messages; `size` as it counts towards the limit."""

    key: int
    rows: int
    spilled_at_ms: int
    size: int


@dataclass(frozen=True, slots=True)
class HeldEpoch:
    """An epoch found on the disk, with the rows of its messages there."""

    record: EpochRecord
    rows: int


def key(ordinal: int, seq: int) -> int:
    """Return the key of a message."""
    return (ordinal << _SEQ_BITS) + seq


def split(message_key: int) -> tuple[int, int]:
    """Return ordinal and seq of a key."""
    return message_key >> _SEQ_BITS, message_key & ((1 << _SEQ_BITS) - 1)


def code(error: sqlite3.Error) -> int | None:
    """Return SQLite's primary result code, `None` for errors raised by Python's wrapper itself."""
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of SQLite and of the file system into ours."""
    try:
        yield
    except sqlite3.Error as error:
        if code(error) in _CORRUPT:
            raise OutboxCorrupt(str(error)) from error
        raise OutboxUnavailable(str(error)) from error
    except OSError as error:
        raise OutboxUnavailable(str(error)) from error


def prepare(connection: sqlite3.Connection) -> None:
    """Set up the connection, and the tables in a new file.

    Raises:
        OutboxCorrupt: when the file has another layout.
    """
    # One process owns the file. Set after the first table, auto_vacuum would do nothing.
    for pragma in ("locking_mode = EXCLUSIVE", "auto_vacuum = INCREMENTAL", "journal_mode = WAL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}").fetchall()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version == 0 and tables == 0:
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
    elif version != _VERSION:
        raise OutboxCorrupt(f"layout {version} is not {_VERSION}")


def held_epochs(connection: sqlite3.Connection) -> list[HeldEpoch]:
    """Return all epochs, oldest first."""
    query = "SELECT key >> ?, sum(rows) FROM message GROUP BY 1"
    rows = dict(connection.execute(query, (_SEQ_BITS,)).fetchall())
    query = (
        "SELECT ordinal, epoch, read, stored, quarantined, dropped, read_is_known, clean "
        "FROM epoch ORDER BY ordinal"
    )
    return [HeldEpoch(_record(found), rows.get(found[0], 0)) for found in connection.execute(query)]


def _record(found: Sequence[object]) -> EpochRecord:
    epoch, known, clean = found[1], found[6], found[7]
    try:
        ordinal, read, stored, quarantined, dropped = (int(str(found[place])) for place in (0, 2, 3, 4, 5))
    except ValueError as error:
        raise OutboxCorrupt(f"epoch {epoch!r}: {error}") from error
    return EpochRecord(ordinal, str(epoch), read, stored, quarantined, dropped, bool(known), bool(clean))


def add_epoch(connection: sqlite3.Connection, ordinal: int, epoch: str) -> None:
    """Insert the record of a new process."""
    connection.execute("INSERT INTO epoch VALUES (?, ?, 0, 0, 0, 0, 1, 0)", (ordinal, epoch))


def write_account(connection: sqlite3.Connection, account: EpochAccount) -> None:
    """Replace an epoch's account; one that the file does not have is left out."""
    connection.execute(
        "UPDATE epoch SET read = ?, stored = ?, quarantined = ?, dropped = ?, read_is_known = ? "
        "WHERE epoch = ?",
        (
            account.read,
            account.stored,
            account.quarantined,
            account.dropped,
            account.read_is_known,
            account.epoch,
        ),
    )


def write_clean(connection: sqlite3.Connection, epoch: str, *, clean: bool) -> None:
    """Write whether the epoch has ended with everything written."""
    connection.execute("UPDATE epoch SET clean = ? WHERE epoch = ?", (clean, epoch))


def forget(connection: sqlite3.Connection, epoch: str) -> None:
    """Delete an epoch's record."""
    connection.execute("DELETE FROM epoch WHERE epoch = ?", (epoch,))


def total_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of all messages as it counts towards the limit."""
    query = "SELECT count(*), coalesce(sum(length(body)), 0) FROM message"
    count, total = connection.execute(query).fetchone()
    return int(total) + int(count) * ENTRY_OVERHEAD_BYTES


def insert(connection: sqlite3.Connection, rows: Sequence[tuple[int, int, int, bytes]]) -> int:
    """Write messages (key, rows, spilled_at_ms, body); return their size.

    One that is there already is the same message: bodies never change.
    """
    connection.executemany("INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?)", rows)
    return sum(len(body) + ENTRY_OVERHEAD_BYTES for _key, _rows, _at_ms, body in rows)


def delete(connection: sqlite3.Connection, keys: Sequence[int]) -> int:
    """Delete messages; return the size of those that existed."""
    freed = 0
    for message_key in keys:
        query = "DELETE FROM message WHERE key = ? RETURNING length(body)"
        found = connection.execute(query, (message_key,)).fetchall()
        freed += sum(length + ENTRY_OVERHEAD_BYTES for (length,) in found)
    return freed


def fetch(
    connection: sqlite3.Connection, after_key: int, before_key: int, limit: int
) -> list[tuple[int, int, bytes]]:
    """Return the oldest messages (key, rows, body) strictly between two keys."""
    query = "SELECT key, rows, body FROM message WHERE key > ? AND key < ? ORDER BY key LIMIT ?"
    return connection.execute(query, (after_key, before_key, limit)).fetchall()


def maybe_body(connection: sqlite3.Connection, message_key: int) -> bytes | None:
    """Return a message's body."""
    found = connection.execute("SELECT body FROM message WHERE key = ?", (message_key,)).fetchone()
    return None if found is None else bytes(found[0])


def oldest(connection: sqlite3.Connection) -> list[Victim]:
    """Return the oldest messages, some at a time."""
    query = "SELECT key, rows, spilled_at_ms, length(body) FROM message ORDER BY key LIMIT ?"
    return [
        Victim(message_key, rows, at_ms, length + ENTRY_OVERHEAD_BYTES)
        for message_key, rows, at_ms, length in connection.execute(query, (_CHUNK,)).fetchall()
    ]


def maybe_oldest_at_ms(connection: sqlite3.Connection) -> int | None:
    """Return when the oldest message was written, 0 where the clock was not known; `None` = no message."""
    found = connection.execute("SELECT spilled_at_ms FROM message ORDER BY key LIMIT 1").fetchone()
    return None if found is None else int(found[0])


def how_many_to_drop(victims: Sequence[Victim], *, excess: int, cutoff_ms: int) -> int:
    """Return how many of the oldest to drop: the excess, and all up to the last one known to be too old.

    A message whose time is not known (0) is at least as old as any that follows it.
    """
    count = 0
    for position, victim in enumerate(victims, start=1):
        if excess > 0 or 0 < victim.spilled_at_ms < cutoff_ms:
            count = position
        excess -= victim.size
    return count


def drop(connection: sqlite3.Connection, victim: Victim) -> None:
    """Delete a message and count its rows as dropped."""
    connection.execute("DELETE FROM message WHERE key = ?", (victim.key,))
    query = "UPDATE epoch SET dropped = dropped + ? WHERE ordinal = ?"
    connection.execute(query, (victim.rows, split(victim.key)[0]))


def give_back(connection: sqlite3.Connection, *, is_empty: bool) -> None:
    """Return freed pages to the file system, and the log's space too when no message is left."""
    # `execute` takes one step, which here frees one page (tried); a script runs to the end.
    connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
    if is_empty:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
