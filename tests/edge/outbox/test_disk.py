"""The outbox's file: limits to the byte and to the millisecond, order, accounts, and what is set aside."""

import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.errors import OutboxCorrupt, OutboxUnavailable
from edge.outbox import sql as outbox_sql
from edge.outbox.disk import Batch, DiskLimits, Dropped, OutboxDisk
from edge.outbox.entry import Entry
from metering.messages.data import MAX_SEQ, MessageId
from metering.messages.status import EpochAccount
from tests.edge.outbox.outboxes import EPOCH, LATER, NOON_MS, entry

# Each of these messages counts 52 bytes and 48 beside its body.
EACH = 100
THIRD = "00000000000000c3"


def disk(path: Path, *, epoch: str = EPOCH, max_bytes: int = 10**9, max_age_s: float = 1e9) -> OutboxDisk:
    one = OutboxDisk(path, DiskLimits(max_bytes, max_age_s), epoch=epoch)
    one.open()
    return one


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    return tmp_path / "outbox.db"


def entries(*seqs: int, epoch: str = EPOCH) -> tuple[Entry, ...]:
    return tuple(entry(seq, epoch=epoch, size=52) for seq in seqs)


def batch(*seqs: int, now_ms: int = NOON_MS, done: tuple[int, ...] = ()) -> Batch:
    return Batch(now_ms, entries(*seqs), tuple(MessageId(EPOCH, seq) for seq in done))


def there(
    one: OutboxDisk, *, after_key: int = 0, before_seq: int = MAX_SEQ, limit: int = 10_000
) -> list[int]:
    found = one.fetch(after_key=after_key, before=MessageId(one._epoch, before_seq), limit=limit)
    return [each.id.seq for _key, each in found]


def dropped(*seqs: int) -> tuple[Dropped, ...]:
    return tuple(Dropped(MessageId(EPOCH, seq), 3) for seq in seqs)


def test_a_new_file_is_empty(path: Path) -> None:
    one = OutboxDisk(path, DiskLimits(1, 1.0), epoch=EPOCH)
    assert (one.is_open, one.bytes, one.maybe_oldest_at_ms) == (False, 0, None)
    assert one.maybe_body(MessageId(EPOCH, 1)) is None
    with pytest.raises(OutboxUnavailable, match="is not open"):
        one.commit(batch(1))
    opened = one.open()
    assert (opened.earlier, opened.maybe_set_aside) == ((), None)
    assert (one.is_open, one.bytes, one.maybe_oldest_at_ms) == (True, 0, None)
    one.close()
    one.close()
    assert not one.is_open


def test_up_to_the_limit_nothing_is_dropped(path: Path) -> None:
    one = disk(path, max_bytes=3 * EACH)
    assert one.commit(batch(1, 2, 3)) == ()
    assert (one.bytes, there(one)) == (3 * EACH, [1, 2, 3])


def test_one_byte_above_the_limit_costs_the_oldest(path: Path) -> None:
    one = disk(path, max_bytes=3 * EACH - 1)
    assert one.commit(batch(1, 2, 3)) == dropped(1)
    assert (one.bytes, there(one)) == (2 * EACH, [2, 3])


def test_what_is_done_makes_room_before_anything_is_dropped(path: Path) -> None:
    one = disk(path, max_bytes=3 * EACH)
    one.commit(batch(1, 2, 3))
    assert one.commit(batch(4, 5, done=(1, 3, 77))) == ()
    assert (one.bytes, there(one)) == (3 * EACH, [2, 4, 5])


def test_what_is_done_of_an_epoch_that_is_not_there_is_passed_over(path: Path) -> None:
    one = disk(path)
    one.commit(Batch(NOON_MS, entries(1), (MessageId(THIRD, 1), MessageId(EPOCH, 1))))
    assert (one.bytes, there(one)) == (EACH, [1]), "a message is deleted before the new ones are written"
    one.commit(batch(done=(1,)))
    assert (one.bytes, there(one)) == (0, [])


def test_many_are_dropped_at_once_oldest_first(path: Path) -> None:
    one = disk(path, max_bytes=5 * EACH)
    assert one.commit(batch(*range(1, 1001))) == dropped(*range(1, 996))
    assert (one.bytes, there(one)) == (5 * EACH, [996, 997, 998, 999, 1000])


@pytest.mark.parametrize("count", [255, 256, 257, 512])
def test_dropping_ends_where_the_limit_says_whatever_is_looked_at_together(path: Path, count: int) -> None:
    one = disk(path, max_bytes=EACH)
    assert len(one.commit(batch(*range(1, count + 2)))) == count
    assert there(one) == [count + 1]


def test_a_message_is_too_old_one_millisecond_above_the_age(path: Path) -> None:
    one = disk(path, max_age_s=60.0)
    one.commit(batch(1, now_ms=NOON_MS))
    one.commit(batch(2, now_ms=NOON_MS + 1))
    assert one.commit(batch(now_ms=NOON_MS + 60_000)) == ()
    assert one.maybe_oldest_at_ms == NOON_MS
    assert one.commit(batch(now_ms=NOON_MS + 60_001)) == dropped(1)
    assert one.maybe_oldest_at_ms == NOON_MS + 1
    assert one.bytes == EACH


def test_a_message_of_unknown_time_is_as_old_as_what_follows_it(path: Path) -> None:
    one = disk(path, max_age_s=60.0)
    one.commit(batch(1, now_ms=0))
    assert one.maybe_oldest_at_ms == 0
    one.commit(batch(2, now_ms=NOON_MS))
    one.commit(batch(3, now_ms=0))
    assert one.commit(batch(now_ms=0)) == ()
    assert one.commit(batch(now_ms=NOON_MS + 60_001)) == dropped(1, 2)
    assert there(one) == [3], "nothing says that it is too old"


def test_drops_are_counted_in_the_record_of_their_epoch(path: Path) -> None:
    first = disk(path)
    account = EpochAccount(EPOCH, read=60, stored=30, quarantined=12, held=15, dropped=3, read_is_known=False)
    first.commit(Batch(NOON_MS, entries(1, 2, 3, 4, 5), accounts=(account,), clean=True))
    first.close()
    second = disk(path, epoch=LATER, max_bytes=4 * EACH)
    fresh = entries(1, 2, epoch=LATER)
    accounts = (EpochAccount(LATER, read=6, stored=0, quarantined=0, held=6, dropped=0),)
    assert second.commit(Batch(NOON_MS, fresh, accounts=accounts)) == dropped(1, 2, 3)
    assert second.commit(Batch(NOON_MS, entries(3, epoch=LATER))) == dropped(4)
    second.close()
    third = OutboxDisk(path, DiskLimits(10**9, 1e9), epoch=THIRD)
    old, later = third.open().earlier
    assert (old.record.ordinal, old.record.epoch, old.rows) == (1, EPOCH, 3)
    assert (old.record.read, old.record.stored, old.record.quarantined, old.record.dropped) == (
        60,
        30,
        12,
        15,
    )
    assert (old.record.read_is_known, old.record.clean) == (False, True)
    assert (later.record.ordinal, later.record.epoch, later.rows) == (2, LATER, 9)
    assert (later.record.read, later.record.dropped) == (6, 0)
    assert (later.record.read_is_known, later.record.clean) == (True, False)
    assert third.bytes == 4 * EACH


def test_messages_come_by_epoch_in_the_order_of_the_starts_then_by_seq(path: Path) -> None:
    first = disk(path, epoch="f" * 16)
    first.commit(Batch(NOON_MS, entries(MAX_SEQ, 7, epoch="f" * 16)))
    first.close()
    second = disk(path)
    second.commit(batch(5, 2, 9))
    found = second.fetch(after_key=0, before=MessageId(EPOCH, 9), limit=10)
    assert [each.id for _key, each in found] == [
        MessageId("f" * 16, 7),
        MessageId("f" * 16, MAX_SEQ),
        MessageId(EPOCH, 2),
        MessageId(EPOCH, 5),
    ]
    assert [each.rows for _key, each in found] == [3] * 4
    assert found[0][1].body == entry(7, epoch="f" * 16, size=52).body
    assert there(second, after_key=found[1][0]) == [2, 5, 9]
    assert there(second, limit=3) == [7, MAX_SEQ, 2]


def test_one_body_can_be_read_again(path: Path) -> None:
    one = disk(path)
    one.commit(batch(1, 2))
    assert one.maybe_body(MessageId(EPOCH, 2)) == entry(2, size=52).body
    assert one.maybe_body(MessageId(EPOCH, 3)) is None
    assert one.maybe_body(MessageId(THIRD, 1)) is None


def test_the_same_message_twice_is_one(path: Path) -> None:
    one = disk(path)
    one.commit(batch(1))
    one.commit(batch(1))
    assert there(one) == [1]


def test_a_forgotten_epoch_is_gone_and_its_place_is_not_used_again(path: Path) -> None:
    disk(path).close()
    second = disk(path, epoch=LATER)
    second.commit(Batch(NOON_MS, forgotten=(EPOCH,)))
    assert second.maybe_body(MessageId(EPOCH, 1)) is None
    second.close()
    third = OutboxDisk(path, DiskLimits(10**9, 1e9), epoch=THIRD)
    assert [(one.record.epoch, one.rows) for one in third.open().earlier] == [(LATER, 0)]
    third.commit(Batch(NOON_MS, entries(1, epoch=THIRD)))
    ((key, _entry),) = third.fetch(after_key=0, before=MessageId(THIRD, 2), limit=2)
    assert key == (3 << 40) + 1


def test_the_present_epoch_keeps_its_record_when_the_file_is_opened_again(path: Path) -> None:
    one = disk(path)
    one.commit(batch(1))
    one.close()
    assert one.open().earlier == ()
    assert (one.bytes, there(one), one.maybe_oldest_at_ms) == (EACH, [1], NOON_MS)


def test_a_refused_batch_changes_nothing(path: Path) -> None:
    one = disk(path)
    one.commit(batch(1))
    one._connection.execute("DROP TABLE message")
    with pytest.raises(OutboxUnavailable, match="no such table"):
        one.commit(batch(2))
    assert (one.bytes, one.maybe_oldest_at_ms) == (EACH, NOON_MS)
    assert not one.is_open, "a file that fails for another reason than a full disk is opened anew"


def test_a_full_disk_leaves_the_file_open_and_what_is_in_it(path: Path) -> None:
    one = disk(path)
    one.commit(batch(1))
    one._connection.execute("PRAGMA max_page_count = 10").fetchall()
    with pytest.raises(OutboxUnavailable, match="full"):
        one.commit(Batch(NOON_MS, (entry(2, size=100_000),)))
    assert (one.is_open, one.bytes, there(one)) == (True, EACH, [1])
    one._connection.execute("PRAGMA max_page_count = 1000").fetchall()
    one.commit(Batch(NOON_MS, (entry(2, size=100_000),)))
    assert there(one) == [1, 2]


def test_its_folder_is_made_with_those_above(tmp_path: Path) -> None:
    one = disk(tmp_path / "var" / "lib" / "outbox.db")
    one.commit(batch(1))
    assert there(one) == [1]


def test_an_unknown_epoch_can_be_forgotten(path: Path) -> None:
    one = disk(path)
    one.commit(Batch(NOON_MS, forgotten=(THIRD,)))
    one.commit(batch(1))
    assert there(one) == [1]


def test_a_file_is_set_aside_under_the_time_of_utc(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        moved = disk(path).set_aside().maybe_set_aside
    finally:
        monkeypatch.undo()
        time.tzset()
    assert moved is not None
    then = datetime.strptime(moved.name, "outbox.db.unusable-%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - then) < timedelta(minutes=5)


def test_an_unusable_file_is_set_aside_with_its_parts(path: Path) -> None:
    path.write_bytes(b"no database" * 500)
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).write_bytes(suffix.encode())
    one = OutboxDisk(path, DiskLimits(10**9, 1e9), epoch=EPOCH)
    opened = one.open()
    moved = opened.maybe_set_aside
    assert moved is not None
    assert re.fullmatch(r"outbox\.db\.unusable-\d{8}T\d{6}Z", moved.name)
    assert moved.read_bytes() == b"no database" * 500
    assert moved.with_name(moved.name + "-journal").read_bytes() == b"-journal"
    one.commit(batch(1))
    assert there(one) == [1]


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("PRAGMA user_version = 2", "layout 2 is not 1"),
        ("PRAGMA user_version = 0", "layout 0 is not 1"),
        ("UPDATE epoch SET dropped = 'many'", "invalid literal"),
    ],
)
def test_a_file_that_is_not_understood_is_corrupt(path: Path, statement: str, complaint: str) -> None:
    disk(path).close()
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    one = OutboxDisk(path, DiskLimits(10**9, 1e9), epoch=LATER)
    with pytest.raises(OutboxCorrupt, match=complaint):
        one._open()
    assert not one.is_open
    opened = one.open()
    assert opened.maybe_set_aside is not None
    assert opened.earlier == ()


def test_errors_of_sqlite_and_of_the_file_system_become_ours() -> None:
    with pytest.raises(OutboxUnavailable, match="no room"), outbox_sql.translated():
        raise OSError("no room")
    with pytest.raises(OutboxUnavailable, match="closed"), outbox_sql.translated():
        raise sqlite3.ProgrammingError("closed")  # of Python's wrapper: it has no code
    damaged = sqlite3.DatabaseError("malformed")
    damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT | 1 << 8
    with pytest.raises(OutboxCorrupt, match="malformed"), outbox_sql.translated():
        raise damaged


def test_freed_pages_go_back_to_the_file_system(path: Path) -> None:
    one = disk(path)
    one.commit(Batch(NOON_MS, tuple(entry(seq, size=20_000) for seq in range(1, 101))))
    one.commit(batch(done=tuple(range(1, 100))))
    wal = path.with_name(path.name + "-wal")
    one.give_back()
    assert wal.stat().st_size > 0, "a message is left: the log stays"
    one.commit(batch(done=(100,)))
    one.give_back()
    assert wal.stat().st_size == 0
    assert path.stat().st_size < 50_000


def test_what_is_committed_is_on_the_disk(path: Path) -> None:
    """Other processes cannot look in: one process owns the file."""
    one = disk(path)
    one.commit(batch(1))
    facts = {
        name: one._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    }
    assert facts == {"journal_mode": "wal", "synchronous": 2}
    other = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("SELECT * FROM message").fetchall()
    other.close()
