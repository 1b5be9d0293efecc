"""The outbox's thread: what a disk that refuses costs, and when it is asked again."""

import threading
from pathlib import Path

import pytest

from edge.errors import OutboxCorrupt
from edge.outbox.disk import Batch, DiskLimits, Opened, OutboxDisk
from edge.outbox.writer import OutboxWriter
from tests.edge.outbox.outboxes import EPOCH, NOON_MS, Time, entry


def writer(path: Path, time: Time, openings: list[Opened]) -> OutboxWriter:
    disk = OutboxDisk(path, DiskLimits(10**9, 1e9), epoch=EPOCH)
    return OutboxWriter(disk, monotonic_s=lambda: time.seconds, on_open=openings.append)


async def write(one: OutboxWriter, *seqs: int) -> object:
    batch = Batch(NOON_MS, tuple(entry(seq, size=52) for seq in seqs))
    return await one.write(lambda disk: disk.commit(batch))


async def test_a_disk_that_refuses_is_asked_again_after_pauses_up_to_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, time, openings = tmp_path / "gone", Time(), list[Opened]()
    folder.write_text("a file where the folder should be", encoding="utf-8")
    one = writer(folder / "outbox.db", time, openings)
    assert (one.failures, one.is_pausing, one.is_usable) == (0, False, False)
    for count, pause_s in enumerate([1, 2, 4, 8, 16, 32, 60, 60], start=1):
        assert not await one.ready()
        assert (one.failures, one.is_pausing, one.is_usable) == (count, True, False)
        said = f"the outbox's disk refuses, next try in {pause_s} s: {folder}/outbox.db: [Errno 17] File exists: '{folder}'"
        assert caplog.messages[-1] == said
        time.seconds += pause_s - 0.01
        assert not await one.ready()
        assert one.failures == count, "not asked within the pause"
        time.seconds += 0.01
        assert not one.is_pausing
    folder.unlink()
    assert await one.ready()
    assert [opened.earlier for opened in openings] == [()]
    assert not one.is_usable, "that it can be opened does not show that it can be written"
    assert await write(one, 1) == ()
    assert one.is_usable
    assert (one.bytes, one.maybe_oldest_at_ms) == (100, NOON_MS)
    await one.close()


async def test_the_pause_begins_anew_once_something_was_written(tmp_path: Path) -> None:
    time, openings = Time(), list[Opened]()
    one = writer(tmp_path / "outbox.db", time, openings)
    assert await write(one, 1) is None, "it is not open"
    assert await one.work(OutboxDisk.give_back) is None
    assert one.failures == 2
    time.seconds += 1
    assert one.is_pausing, "the second failure doubled the pause"
    one.retry_now()
    assert not one.is_pausing
    assert await one.ready()
    await write(one, 1)
    assert await one.ready()
    assert len(openings) == 1
    await one.work(OutboxDisk.close)
    assert await write(one, 2) is None
    time.seconds += 1
    assert not one.is_pausing
    await one.close()


async def test_a_damaged_file_is_replaced_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    time, openings = Time(), list[Opened]()
    one = writer(tmp_path / "outbox.db", time, openings)
    assert await one.ready()

    def find_damage(_disk: OutboxDisk) -> None:
        raise OutboxCorrupt("page 7 is not a page")

    assert await one.work(find_damage) is None
    assert caplog.messages == [f"the outbox file {tmp_path}/outbox.db is damaged: page 7 is not a page"]
    assert [opened.maybe_set_aside is None for opened in openings] == [True, False]
    assert (one.failures, one.is_pausing, one.is_usable) == (0, False, True)
    await one.close()


def take_away(folder: Path) -> None:
    """Rename a folder and leave a file in its place."""
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("", encoding="utf-8")


async def test_a_file_that_cannot_be_set_aside_is_a_disk_that_refuses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    time, openings, path = Time(), list[Opened](), tmp_path / "data" / "outbox.db"
    one = writer(path, time, openings)
    assert await one.ready()
    await one.work(OutboxDisk.close)
    path.unlink()
    path.mkdir()
    (path / "in the way").write_text("", encoding="utf-8")
    assert not await one.ready()
    assert (one.failures, one.is_pausing) == (1, True)
    refused = f"the outbox's disk refuses, next try in 1 s: {path}: unable to open database file"
    assert caplog.messages == [refused]

    take_away(path.parent)
    one.retry_now()

    def find_damage(_disk: OutboxDisk) -> None:
        raise OutboxCorrupt("nothing there")

    assert await one.work(find_damage) is None
    assert (one.failures, len(openings)) == (2, 1)
    assert caplog.messages[-1].startswith(f"the outbox's disk refuses, next try in 2 s: {path}: [Errno ")
    await one.close()


async def test_its_thread_has_a_name_and_ends_with_it(tmp_path: Path) -> None:
    one = writer(tmp_path / "outbox.db", Time(), [])
    assert await one.ready()
    assert await one.work(lambda _disk: threading.current_thread().name) == "outbox_0"
    await one.close()
    with pytest.raises(RuntimeError, match="shutdown"):
        await one.work(OutboxDisk.close)


async def test_a_refusal_names_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "folder"
    blocked.write_text("a file where a folder belongs", encoding="utf-8")
    one = writer(blocked / "outbox.db", Time(), [])
    assert not await one.ready()
    assert str(blocked / "outbox.db") in one.problem
    assert one.problem in caplog.messages[-1]
    await one.close()
