"""The outbox: its promises one by one. `test_outbox_model` compares it with a model over random actions."""

import asyncio
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.outbox.disk import OutboxDisk
from metering.messages.data import MessageId
from tests.edge.outbox.outboxes import EPOCH, LATER, NOON_MS, Time, drain, entry, opened


def files(path: Path) -> bytes:
    return b"".join(part.read_bytes() for part in sorted(path.parent.glob(f"{path.name}*")))


def set_aside(folder: Path) -> list[Path]:
    return sorted(folder.glob("outbox.db.unusable-*"))


async def test_a_healthy_uplink_never_writes_to_the_disk(tmp_path: Path) -> None:
    time, path = Time(), tmp_path / "outbox.db"
    async with opened(path, time) as outbox:
        before = files(path)
        for seq in range(1, 50):
            await outbox.append(entry(seq))
            time.pass_(1)
            await drain(outbox)
            await outbox.maintain()
        assert files(path) == before


async def test_what_waits_too_long_goes_to_the_disk_and_comes_back_in_order(tmp_path: Path) -> None:
    time = Time()
    async with opened(tmp_path / "outbox.db", time) as outbox:
        for seq in range(1, 200):
            await outbox.append(entry(seq))
            time.pass_(0.1)
            await outbox.maintain()
        assert 0 < outbox.state.memory_messages < 100
        live = outbox.maybe_live()
        assert live is not None
        backlog = []
        while (one := await outbox.maybe_backlog()) is not None:
            outbox.hand_out(one)
            outbox.done(one.id)
            backlog.append(one)
        assert backlog == [entry(seq) for seq in range(1, live.id.seq)]
        assert await drain(outbox) == [entry(seq) for seq in range(live.id.seq, 200)]


async def test_rows_on_their_way_are_told_from_rows_that_wait(tmp_path: Path) -> None:
    """Each status sees the last poll's rows as held, the same number every time: their age tells them apart."""
    time, path = Time(), tmp_path / "outbox.db"
    async with opened(path, time) as outbox:
        assert outbox.state.oldest_held_s == 0
        for seq in range(1, 7):
            await outbox.append(entry(seq, rows=22))
            time.pass_(0.4)
            assert (outbox.accounts[0].held, outbox.state.oldest_held_s) == (22, pytest.approx(0.4))
            await drain(outbox)
            assert outbox.state.oldest_held_s == 0
            time.pass_(29.6)
        await outbox.append(entry(7, rows=22))
        time.pass_(10)
        await outbox.maintain()
        time.pass_(170)
        await outbox.append(entry(8))
        assert outbox.state.oldest_held_s == pytest.approx(170), "on the disk, since it was written there"
    time.pass_(3600)
    async with opened(path, time, epoch=LATER) as outbox:
        assert outbox.state.oldest_held_s == pytest.approx(3770)
        await drain(outbox)
        assert outbox.state.oldest_held_s == 0
        await outbox.append(entry(1, epoch=LATER))
        time.pass_(2)
        assert outbox.state.oldest_held_s == 2, "what is done but not deleted yet does not count"
        time.pass_(5)
        await outbox.maintain()
        assert outbox.state.oldest_held_s == 7


async def test_rows_written_while_the_time_was_not_known_wait_at_least_since_the_start(
    tmp_path: Path,
) -> None:
    time, path = Time(seconds=100, wall_ms=0), tmp_path / "outbox.db"
    async with opened(path, time) as outbox:
        await outbox.append(entry(1))
    async with opened(path, time, epoch=LATER) as outbox:
        time.seconds += 50
        assert outbox.state.oldest_held_s == 50
        time.wall_ms = NOON_MS
        assert outbox.state.oldest_held_s == 50


async def test_a_clock_that_was_set_back_makes_no_age_negative(tmp_path: Path) -> None:
    time, path = Time(), tmp_path / "outbox.db"
    async with opened(path, time) as outbox:
        await outbox.append(entry(1))
    time.wall_ms -= 3_600_000
    async with opened(path, time, epoch=LATER) as outbox:
        assert outbox.state.oldest_held_s == 0


async def test_one_lost_message_does_not_take_fresh_ones_to_the_disk(tmp_path: Path) -> None:
    time = Time()
    async with opened(tmp_path / "outbox.db", time) as outbox:
        await outbox.append(entry(1))
        time.pass_(10)
        await outbox.append(entry(2))
        await outbox.maintain()
        assert (outbox.state.memory_messages, outbox.maybe_live()) == (1, entry(2))


async def test_always_returns_after_the_commit(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with opened(path, Time(), always=True) as outbox:
        kept = await asyncio.gather(*(outbox.append(entry(seq)) for seq in range(1, 20)))
        assert all(kept)
        for name in ("outbox.db", "outbox.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / f"killed-{name}")
        assert outbox.maybe_live() == entry(1)
    async with opened(tmp_path / "killed-outbox.db", Time(), epoch=LATER) as outbox:
        assert await drain(outbox) == [entry(seq) for seq in range(1, 20)]


async def test_earlier_epochs_are_sent_as_they_were_and_their_account_goes_when_reported(
    tmp_path: Path,
) -> None:
    path, time = tmp_path / "outbox.db", Time()
    async with opened(path, time) as outbox:
        await outbox.append(entry(1), entry(2), entry(3))
        one = outbox.maybe_live()
        assert one is not None
        outbox.hand_out(one)
        outbox.done(one.id, quarantined=1)
    async with opened(path, time, epoch=LATER) as outbox:
        assert outbox.clean_stop is True
        old = next(account for account in outbox.accounts if account.epoch == EPOCH)
        assert (old.read, old.stored, old.quarantined, old.held) == (9, 2, 1, 6)
        assert old.read_is_known
        outbox.reported(outbox.accounts)
        assert await drain(outbox) == [entry(2), entry(3)]
        assert len(outbox.accounts) == 2
        outbox.reported(outbox.accounts)
        assert [account.epoch for account in outbox.accounts] == [LATER]
    async with opened(path, time, epoch="00000000000000c3") as outbox:
        assert [account.epoch for account in outbox.accounts] == ["00000000000000c3", LATER]


async def test_after_a_kill_what_was_read_is_not_known(tmp_path: Path) -> None:
    path, time = tmp_path / "outbox.db", Time()
    async with opened(path, time) as outbox:
        await outbox.append(entry(1), entry(2))
        time.pass_(11)
        await outbox.maintain()
        await outbox.append(entry(3))
        for name in ("outbox.db", "outbox.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / f"killed-{name}")
    async with opened(tmp_path / "killed-outbox.db", time, epoch=LATER) as outbox:
        old = next(account for account in outbox.accounts if account.epoch == EPOCH)
        assert outbox.clean_stop is False
        assert (old.read, old.held, old.read_is_known) == (6, 6, False)


async def test_a_full_disk_part_drops_the_oldest_and_counts_rows(tmp_path: Path) -> None:
    time = Time()
    async with opened(tmp_path / "outbox.db", time, max_bytes=10_000) as outbox:
        for seq in range(1, 301):
            await outbox.append(entry(seq))
            if seq % 20 == 0:
                time.pass_(11)
                await outbox.maintain()
        (account,) = outbox.accounts
        left = await drain(outbox)
        assert left == [entry(seq) for seq in range(301 - len(left), 301)]
        assert account.dropped == 3 * (300 - len(left)) > 0
        assert account.balance == 0


async def test_what_is_too_old_is_dropped_and_counted(tmp_path: Path) -> None:
    time = Time()
    async with opened(tmp_path / "outbox.db", time, max_age_s=3600) as outbox:
        for seq in range(1, 4):
            await outbox.append(entry(seq))
            time.pass_(3000)
            await outbox.maintain()
        (account,) = outbox.accounts
        assert (account.dropped, account.held, account.balance) == (3, 6, 0)
        assert await drain(outbox) == [entry(2), entry(3)]


async def test_a_clock_not_known_makes_nothing_too_old(tmp_path: Path) -> None:
    time = Time(wall_ms=0)
    async with opened(tmp_path / "outbox.db", time, max_age_s=3600) as outbox:
        await outbox.append(entry(1))
        time.seconds = 20
        await outbox.maintain()
        time.wall_ms = NOON_MS
        await outbox.append(entry(2))
        time.seconds = 40
        await outbox.maintain()
        assert await drain(outbox) == [entry(1), entry(2)]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_corrupt_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(content)
    async with opened(path, Time()) as outbox:
        assert await outbox.append(entry(1))
        assert outbox.clean_stop is None
    (aside,) = set_aside(tmp_path)
    assert aside.read_bytes() == content
    async with opened(path, Time(), epoch=LATER) as outbox:
        assert await drain(outbox) == [entry(1)]


async def test_a_file_of_a_later_version_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with sqlite3.connect(path) as later:
        later.execute("CREATE TABLE new (x)")
        later.execute("PRAGMA user_version = 99")
    later.close()
    async with opened(path, Time()) as outbox:
        assert outbox.state.disk_is_usable
    assert set_aside(tmp_path)


async def test_what_a_file_held_that_is_damaged_before_the_start_is_not_known(tmp_path: Path) -> None:
    path, time = tmp_path / "outbox.db", Time()
    async with opened(path, time) as outbox:
        for seq in range(1, 400):
            await outbox.append(entry(seq, size=2000))
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    path.write_bytes(content)
    async with opened(path, time, epoch=LATER) as outbox:
        await outbox.append(entry(1, epoch=LATER))
        await outbox.maybe_backlog()
        time.pass_(20)
        await outbox.maintain()
        (account,) = outbox.accounts
        assert (account.epoch, account.held, account.dropped, account.balance) == (LATER, 3, 0, 0)
        assert outbox.clean_stop is None
        assert await drain(outbox) == [entry(1, epoch=LATER)]
    assert set_aside(tmp_path)


def damage(path: Path) -> None:
    """Overwrite all of a file but its first pages, in place."""
    with path.open("r+b") as file:
        file.seek(20 * 4096)
        file.write(b"\xa5" * (path.stat().st_size - file.tell()))


async def test_a_file_damaged_under_way_counts_what_it_held_as_dropped_by_epoch(tmp_path: Path) -> None:
    path, time = tmp_path / "outbox.db", Time()
    async with opened(path, time) as outbox:
        # More than SQLite keeps in its cache.
        for seq in range(1, 251):
            await outbox.append(entry(seq, size=20_000))
    async with opened(path, time, epoch=LATER) as outbox:
        await outbox.append(entry(1, epoch=LATER), entry(2, epoch=LATER, rows=4))
        time.pass_(20)
        await outbox.maintain()
        await outbox.append(entry(3, epoch=LATER, rows=5), entry(4, epoch=LATER, rows=6))
        for _ in range(2):
            live = outbox.maybe_live()
            assert live is not None
            outbox.hand_out(live)
        first = await outbox.maybe_backlog()
        assert first is not None
        outbox.hand_out(first)
        damage(path)
        left = await drain(outbox)
        now, old = outbox.accounts
        assert (now.epoch, now.read, now.stored, now.held, now.dropped) == (LATER, 18, 0, 11, 7)
        assert (old.epoch, old.read, old.held) == (EPOCH, 3 * 250, 0)
        assert (old.stored, old.dropped) == (3 * len(left), 3 * (250 - len(left)))
        assert 0 < len(left) < 250
        assert not outbox.is_held(first.id), "it can never be sent again"
        assert not outbox.done(first.id)
        assert outbox.done(MessageId(LATER, 3))
        assert outbox.done(MessageId(LATER, 4))
        assert [account.held for account in outbox.accounts] == [0, 0]
    assert set_aside(tmp_path)


async def test_what_memory_still_holds_survives_a_damaged_file_and_goes_to_the_new_one(
    tmp_path: Path,
) -> None:
    path, time = tmp_path / "outbox.db", Time()
    async with opened(path, time) as outbox:
        for seq in range(1, 251):
            await outbox.append(entry(seq, size=20_000))
    async with opened(path, time, epoch=LATER, always=True) as outbox:
        await outbox.append(entry(1, epoch=LATER), entry(2, epoch=LATER))
        damage(path)
        while (one := await outbox.maybe_backlog()) is not None:
            outbox.hand_out(one)
        now, old = outbox.accounts
        assert (now.epoch, now.held, now.dropped) == (LATER, 6, 0)
        assert (old.epoch, old.held, old.dropped) == (EPOCH, 0, 750)
        assert await outbox.append(entry(3, epoch=LATER))
        for name in ("outbox.db", "outbox.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / f"killed-{name}")
    async with opened(tmp_path / "killed-outbox.db", time, epoch="00000000000000c3") as outbox:
        assert await drain(outbox) == [entry(seq, epoch=LATER) for seq in (1, 2, 3)]


async def test_what_the_disk_limit_drops_leaves_memory_too_and_is_counted_once(tmp_path: Path) -> None:
    time = Time()
    # Room for five messages of 52 bytes and what each takes beside its body.
    async with opened(tmp_path / "outbox.db", time, always=True, max_bytes=500) as outbox:
        for seq in range(1, 6):
            assert await outbox.append(entry(seq, size=52))
        first, second = entry(1, size=52), entry(2, size=52)
        outbox.hand_out(first)
        outbox.hand_out(second)
        assert outbox.done(second.id)
        assert (outbox.state.disk_bytes, outbox.state.memory_messages) == (500, 4)
        assert await outbox.append(entry(6, size=52)), "what is done makes room first"
        assert await outbox.append(entry(7, size=52))
        (account,) = outbox.accounts
        assert (account.read, account.stored, account.held, account.dropped) == (21, 3, 15, 3)
        assert not outbox.is_held(first.id)
        assert await outbox.maybe_entry(first.id) is None
        assert not outbox.done(first.id), "what was dropped cannot be acknowledged"
        assert (outbox.state.disk_bytes, outbox.state.memory_messages) == (500, 5)
        assert await outbox.append(*(entry(seq, size=52) for seq in (8, 9)))
        assert outbox.maybe_live() == entry(5, size=52)
        assert await drain(outbox) == [entry(seq, size=52) for seq in range(5, 10)]
        (account,) = outbox.accounts
        assert (account.read, account.stored, account.held, account.dropped) == (27, 18, 0, 9)


async def test_what_is_dropped_after_it_was_read_from_the_disk_is_not_sent(tmp_path: Path) -> None:
    time = Time()
    async with opened(tmp_path / "outbox.db", time, max_bytes=500) as outbox:
        for seq in range(1, 6):
            await outbox.append(entry(seq, size=52))
        time.pass_(10)
        await outbox.maintain()
        first = await outbox.maybe_backlog()
        assert first == entry(1, size=52)
        outbox.hand_out(first)
        assert await outbox.maybe_backlog() == entry(2, size=52)
        for seq in range(6, 9):
            await outbox.append(entry(seq, size=52))
        time.pass_(10)
        await outbox.maintain()
        assert outbox.accounts[0].dropped == 9
        assert await outbox.maybe_backlog() == entry(4, size=52)
        assert await drain(outbox) == [entry(seq, size=52) for seq in range(4, 9)]


async def test_append_says_when_the_disk_limit_drops_what_was_just_taken(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db", Time(), always=True, max_bytes=500) as outbox:
        assert not await outbox.append(*(entry(seq, size=52) for seq in range(1, 7)))
        assert await outbox.append(entry(7, size=52))
        assert outbox.accounts[0].dropped == 6


async def test_a_disk_that_refuses_drops_from_memory_and_recovers_by_itself(tmp_path: Path) -> None:
    time, folder = Time(), tmp_path / "gone"
    folder.write_text("a file where the folder should be", encoding="utf-8")
    async with opened(folder / "outbox.db", time, memory_bytes=4000) as outbox:
        for seq in range(1, 201):
            await outbox.append(entry(seq))
            time.pass_(1)
            await outbox.maintain()
        (account,) = outbox.accounts
        assert account.held == 300
        assert account.dropped == 300
        assert outbox.state.memory_bytes <= 4000
        assert outbox.state.disk_failures > 1
        folder.unlink()
        time.pass_(61)
        await outbox.maintain()
        assert outbox.state.disk_is_usable
        assert await drain(outbox) == [entry(seq) for seq in range(101, 201)]


async def test_a_disk_that_comes_late_is_used_though_nothing_needs_it(tmp_path: Path) -> None:
    time, folder = Time(), tmp_path / "later"
    async with opened(tmp_path / "outbox.db", time) as outbox:
        await outbox.append(entry(1))
    folder.write_text("not mounted yet", encoding="utf-8")
    async with opened(folder / "outbox.db", time, epoch=LATER) as outbox:
        assert not outbox.state.disk_is_usable
        folder.unlink()
        folder.mkdir()
        shutil.copy(tmp_path / "outbox.db", folder)
        time.pass_(61)
        await outbox.maintain()
        assert outbox.state.disk_is_usable
        assert await drain(outbox) == [entry(1)]


@contextmanager
def full_disk(at_bytes: int) -> Iterator[None]:
    """Let no file of this process grow above a size; Python ignores the signal, writes fail (setrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("always", [False, True])
async def test_a_full_disk_costs_only_what_memory_cannot_hold(tmp_path: Path, *, always: bool) -> None:
    time = Time()
    async with opened(tmp_path / "outbox.db", time, memory_bytes=100_000, always=always) as outbox:
        with full_disk(400_000):
            for seq in range(1, 301):
                await outbox.append(entry(seq, size=4000))
                time.pass_(1)
                await outbox.maintain()
            (account,) = outbox.accounts
            assert account.balance == 0
            assert account.dropped > 0
            assert account.held > 25 * 3
            assert outbox.state.disk_failures > 0
            assert outbox.state.memory_bytes <= 100_000
        time.pass_(61)
        await outbox.maintain()
        assert outbox.state.disk_is_usable
        left = await drain(outbox)
        assert sum(one.rows for one in left) == account.held
        assert entry(300, size=4000) in left


async def test_always_says_so_when_the_disk_refuses(tmp_path: Path) -> None:
    (tmp_path / "gone").write_text("", encoding="utf-8")
    async with opened(tmp_path / "gone" / "outbox.db", Time(), always=True) as outbox:
        assert not await outbox.append(entry(1))
        assert outbox.maybe_live() == entry(1)


async def test_the_file_shrinks_when_it_was_drained(tmp_path: Path) -> None:
    path, time = tmp_path / "outbox.db", Time()
    async with opened(path, time) as outbox:
        for seq in range(1, 200):
            await outbox.append(entry(seq, size=20_000))
        time.pass_(11)
        await outbox.maintain()
        await drain(outbox)
        time.pass_(11)
        await outbox.maintain()
    assert path.stat().st_size < 200_000


async def test_a_wrong_seq_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db", Time()) as outbox:
        await outbox.append(entry(2))
        with pytest.raises(ValueError, match="does not follow"):
            await outbox.append(entry(2))
        with pytest.raises(ValueError, match="does not follow"):
            await outbox.append(entry(3, epoch=LATER))


async def test_rows_given_up_before_they_were_a_message_are_read_and_dropped(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db", Time()) as outbox:
        await outbox.append(entry(1))
        outbox.discard_read(5)
        (account,) = outbox.accounts
        assert (account.read, account.held, account.dropped) == (8, 3, 5)


async def test_a_message_handed_out_can_be_had_again_from_memory_and_from_the_disk(tmp_path: Path) -> None:
    path, time = tmp_path / "outbox.db", Time()
    async with opened(path, time) as outbox:
        await outbox.append(entry(1), entry(2, rows=7))
    async with opened(path, time, epoch=LATER) as outbox:
        await outbox.append(entry(1, epoch=LATER, rows=4))
        old, fresh = await outbox.maybe_backlog(), outbox.maybe_live()
        assert (old, fresh) == (entry(1), entry(1, epoch=LATER, rows=4))
        assert old is not None
        assert fresh is not None
        assert await outbox.maybe_entry(old.id) is None, "not handed out yet"
        outbox.hand_out(old)
        outbox.hand_out(fresh)
        assert await outbox.maybe_entry(old.id) == old, "not the one of the same number in memory"
        assert await outbox.maybe_entry(fresh.id) == fresh
        second = await outbox.maybe_backlog()
        assert second == entry(2, rows=7)
        outbox.hand_out(second)
        time.pass_(10)
        await outbox.maintain()
        assert outbox.state.memory_messages == 0
        assert await outbox.maybe_entry(fresh.id) == fresh
        assert await outbox.maybe_entry(second.id) == second
        outbox.done(fresh.id)
        assert await outbox.maybe_entry(fresh.id) is None
        outbox._writer.retry_now()
        await outbox._writer.work(OutboxDisk.close)
        assert await outbox.maybe_entry(old.id) is None, "not readable now"
        assert outbox.is_held(old.id)


async def test_what_is_two_seconds_old_goes_to_the_disk_with_what_waited_ten(tmp_path: Path) -> None:
    time = Time()
    async with opened(tmp_path / "outbox.db", time) as outbox:
        await outbox.append(entry(1))
        time.pass_(8)
        await outbox.append(entry(2))
        time.pass_(0.1)
        await outbox.append(entry(3))
        time.pass_(1.9)
        await outbox.maintain()
        assert (outbox.state.memory_messages, outbox.maybe_live()) == (1, entry(3))


async def test_memory_that_fills_goes_to_the_disk_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db", Time(), memory_bytes=1000) as outbox:
        await outbox.append(entry(1, size=375), entry(2, size=375))
        assert outbox.state.memory_messages == 2
        await outbox.append(entry(3, size=30))
        assert (outbox.state.memory_messages, outbox.accounts[0].dropped) == (0, 0)
        assert await drain(outbox) == [entry(1, size=375), entry(2, size=375), entry(3, size=30)]


async def test_one_message_stays_in_memory_however_large(tmp_path: Path) -> None:
    (tmp_path / "gone").write_text("", encoding="utf-8")
    async with opened(tmp_path / "gone" / "outbox.db", Time(), memory_bytes=1000) as outbox:
        await outbox.append(entry(1, size=1500))
        assert (outbox.state.memory_messages, outbox.accounts[0].dropped) == (1, 0)
        await outbox.append(entry(2, size=1500))
        assert (outbox.state.memory_messages, outbox.accounts[0].dropped) == (1, 3)
        assert outbox.maybe_live() == entry(2, size=1500)


async def test_what_is_on_the_disk_already_is_not_written_again(tmp_path: Path) -> None:
    time, path = Time(), tmp_path / "outbox.db"
    async with opened(path, time, always=True) as outbox:
        await outbox.append(entry(1))
        before = files(path)
        assert await outbox.append()
        time.pass_(10)
        await outbox.maintain()
        assert outbox.state.memory_messages == 0
        assert files(path) == before
        await outbox.settle()
        before = files(path)
        await outbox.settle()
        assert files(path) == before, "a second time there is nothing to say"


async def test_after_settling_a_kill_is_a_clean_stop(tmp_path: Path) -> None:
    path, time = tmp_path / "outbox.db", Time()
    async with opened(path, time) as outbox:
        await outbox.append(entry(1))
        await outbox.settle()
        for name in ("outbox.db", "outbox.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / f"killed-{name}")
    async with opened(tmp_path / "killed-outbox.db", time, epoch=LATER) as outbox:
        assert outbox.clean_stop is True
        assert await drain(outbox) == [entry(1)]


async def test_what_a_disk_refuses_at_the_end_is_dropped_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gone").write_text("", encoding="utf-8")
    async with opened(tmp_path / "gone" / "outbox.db", Time()) as outbox:
        await outbox.append(entry(7))
        await outbox.settle()
        (account,) = outbox.accounts
        assert (account.held, account.dropped) == (0, 3)
    assert f"the disk refuses the last write: 3 rows of {MessageId(EPOCH, 7)} are lost" in caplog.messages


async def test_a_file_that_is_set_aside_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "outbox.db").write_bytes(b"no database" * 500)
    async with opened(tmp_path / "outbox.db", Time()):
        (moved,) = set_aside(tmp_path)
    assert f"the outbox file could not be used and was renamed to {moved}" in caplog.messages


async def test_what_is_done_while_it_is_being_written_is_deleted_later(tmp_path: Path) -> None:
    time = Time()
    async with opened(tmp_path / "outbox.db", time) as outbox:
        await outbox.append(entry(1))
        outbox.hand_out(entry(1))
        time.pass_(10)
        writing = asyncio.create_task(outbox.maintain())
        await asyncio.sleep(0)  # until the thread has the batch
        assert outbox.done(entry(1).id)
        await writing
        assert outbox.state.disk_bytes > 0
        time.pass_(5)
        await outbox.maintain()
        assert outbox.state.disk_bytes == 0


async def test_what_is_done_while_the_disk_drops_it_is_not_dropped(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db", Time(), always=True, max_bytes=500) as outbox:
        for seq in range(1, 6):
            await outbox.append(entry(seq, size=52))
        outbox.hand_out(entry(1, size=52))
        writing = asyncio.create_task(outbox.append(entry(6, size=52)))
        await asyncio.sleep(0)  # until the thread has the batch
        assert outbox.done(entry(1).id)
        assert await writing
        (account,) = outbox.accounts
        assert (account.stored, account.held, account.dropped) == (3, 15, 0)


async def test_a_file_that_is_opened_again_does_not_undo_what_is_known_of_earlier_epochs(
    tmp_path: Path,
) -> None:
    path, time = tmp_path / "outbox.db", Time()
    async with opened(path, time) as outbox:
        await outbox.append(entry(1), entry(2))
    async with opened(path, time, epoch=LATER) as outbox:
        await outbox.append(entry(1, epoch=LATER))
    async with opened(path, time, epoch="00000000000000c3") as outbox:
        for _ in range(2):
            one = await outbox.maybe_backlog()
            assert one is not None
            outbox.hand_out(one)
            outbox.done(one.id)
        outbox.reported(outbox.accounts)
        third = await outbox.maybe_backlog()
        assert third == entry(1, epoch=LATER)
        await outbox._writer.work(OutboxDisk.close)
        await outbox.maintain()
        assert outbox.state.disk_is_usable
        _now, old = outbox.accounts
        assert (old.epoch, old.stored, old.held) == (LATER, 0, 3), "the epoch that is finished stays finished"
        outbox.hand_out(third)
        outbox.done(third.id)
        await outbox._writer.work(OutboxDisk.close)
        await outbox.maintain()
        assert [account.held for account in outbox.accounts] == [0, 0]


async def test_a_disk_that_deletes_nothing_stops_what_is_read_from_it(tmp_path: Path) -> None:
    """The list of what is to be deleted would grow without end."""
    time = Time()
    async with opened(tmp_path / "outbox.db", time) as outbox:
        await outbox.append(*(entry(seq) for seq in range(1, 20_101)))
        time.pass_(10)
        await outbox.maintain()
        for _ in range(20_000):
            one = await outbox.maybe_backlog()
            assert one is not None
            outbox.hand_out(one)
            outbox.done(one.id)
        while (one := outbox._backlog.maybe_first()) is not None:
            outbox.hand_out(one)
        assert await outbox.maybe_backlog() is None
        time.pass_(10)
        await outbox.maintain()
        assert await outbox.maybe_backlog() is not None
