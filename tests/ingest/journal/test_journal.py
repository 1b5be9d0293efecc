"""The journal on a real disk: group commits, torn tails, full disks, other processes."""

import logging
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from ingest.errors import JournalError, JournalLocked
from ingest.journal.journal import Journal
from ingest.journal.reader import JournalReader, SegmentName
from ingest.journal.segments import JournalPlace, Record
from tests.ingest.journal.journal_records import DAY, DAY_MS, NOON_MS, bodies, record
from tests.peers.full_disk import files_limited_to


def test_records_come_back_with_their_places(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        first = journal.append([record(1), record(2)])
        second = journal.append([record(3)])
        assert [place.index for place in (*first, *second)] == [0, 1, 0]
        read = dict(journal.read("demo"))
    assert list(read) == [*first, *second]
    assert [one.properties for one in read.values()] == [(("seq", str(n)),) for n in (1, 2, 3)]
    reader = JournalReader(tmp_path)
    assert [reader.maybe_record(place) for place in read] == list(read.values())


def test_each_park_and_day_of_receipt_has_its_own_segment(tmp_path: Path) -> None:
    with Journal(tmp_path, instance="b") as journal:
        places = journal.append(
            [record(1), record(2, park="other"), record(3, received_at_ms=NOON_MS + DAY_MS), record(4)]
        )
    assert [(place.park, place.segment) for place in places] == [
        ("demo", "2026-09-22.b.1.zwj"),
        ("other", "2026-09-22.b.1.zwj"),
        ("demo", "2026-09-23.b.1.zwj"),
        ("demo", "2026-09-22.b.1.zwj"),
    ]
    reader = JournalReader(tmp_path)
    assert reader.parks() == ("demo", "other")
    assert [one.body for _, one in reader.read("demo", first_day=date(2026, 9, 23))] == [record(3).body]
    assert [one.body for _, one in reader.read("demo", last_day=DAY)] == [record(1).body, record(4).body]


def test_a_full_segment_is_followed_by_the_next(tmp_path: Path) -> None:
    with Journal(tmp_path, full_bytes=500) as journal:
        for number in range(20):
            journal.append([record(number, size=100)])
        names = journal.reader.segments("demo")
        assert [name.number for name in names] == list(range(1, len(names) + 1))
        assert len(names) > 2
        assert [body[:20] for body in bodies(journal)] == [b"%020d" % number for number in range(20)]


def test_a_restart_goes_on_in_the_same_segment(tmp_path: Path) -> None:
    for number in range(3):
        with Journal(tmp_path) as journal:
            journal.append([record(number)])
    assert [str(name) for name in JournalReader(tmp_path).segments("demo")] == ["2026-09-22.1.1.zwj"]
    assert bodies(JournalReader(tmp_path)) == [record(number).body for number in range(3)]


def test_large_groups_are_cut_into_several_frames(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        places = journal.append([record(number, size=1_500_000) for number in range(8)])
        assert len({place.offset for place in places}) > 1
        assert [place for place, _ in journal.read("demo")] == list(places)


def test_a_torn_tail_is_cut_off_with_a_word_about_its_size(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Journal(tmp_path) as journal:
        journal.append([record(1)])
        journal.append([record(2)])
    path = tmp_path / "demo" / "2026-09-22.1.1.zwj"
    path.write_bytes(path.read_bytes()[:-7])
    with caplog.at_level(logging.WARNING), Journal(tmp_path) as journal:
        journal.append([record(3)])
    assert "torn last record cut off, " in caplog.text
    assert bodies(JournalReader(tmp_path)) == [record(1).body, record(3).body]


def test_torn_at_every_byte_the_next_append_is_good(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        (first,), (second,) = journal.append([record(1)]), journal.append([record(2)])
    path = tmp_path / "demo" / first.segment
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with Journal(tmp_path) as journal:
            journal.append([record(3)])
            kept = [record(1).body] if size >= second.offset else []
            assert bodies(journal) == [*kept, record(3).body]


def test_damage_in_the_middle_is_skipped_with_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Journal(tmp_path) as journal:
        places = [journal.append([record(number)])[0] for number in range(3)]
    path = tmp_path / "demo" / places[0].segment
    data = bytearray(path.read_bytes())
    data[places[1].offset + 40] ^= 0xFF
    path.write_bytes(data)
    with caplog.at_level(logging.ERROR), Journal(tmp_path) as journal:
        assert bodies(journal) == [record(0).body, record(2).body]
        assert journal.reader.maybe_record(places[1]) is None
    assert f"damaged bytes at {places[1].offset} skipped" in caplog.text


def test_a_segment_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    newer = tmp_path / "demo" / "2026-09-22.1.1.zwj"
    newer.write_bytes(b"zonewise journal 2\nsomething else")
    with Journal(tmp_path) as journal:
        (place,) = journal.append([record(1)])
    assert place.segment == "2026-09-22.1.2.zwj"
    assert newer.read_bytes() == b"zonewise journal 2\nsomething else"


def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append([record(1)])
        with files_limited_to(2000), pytest.raises(JournalError) as caught:
            journal.append([record(2, size=5000)])
        path = tmp_path / "demo" / "2026-09-22.1.1.zwj"
        assert caught.value.path == path
        assert caught.value.size_bytes > 5000
        assert caught.value.transient
        assert str(path) in str(caught.value)
        journal.append([record(3)])
        assert bodies(journal) == [record(1).body, record(3).body]


def test_a_file_in_the_place_of_a_folder_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        (tmp_path / "demo").write_text("not a folder")
        with pytest.raises(JournalError, match="demo"):
            journal.append([record(1)])
        (tmp_path / "demo").unlink()
        journal.append([record(1)])
        assert bodies(journal) == [record(1).body]


def test_a_segment_that_was_deleted_is_begun_anew_with_an_error_first(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append([record(1)])
        shutil.rmtree(tmp_path / "demo")
        with pytest.raises(JournalError, match="deleted"):
            journal.append([record(2)])
        journal.append([record(2)])
        assert bodies(journal) == [record(2).body]


def test_one_process_writes_under_an_instance_name(tmp_path: Path) -> None:
    with Journal(tmp_path):
        with pytest.raises(JournalLocked, match="instance '1'"):
            Journal(tmp_path)
        with Journal(tmp_path, instance="2") as other:
            other.append([record(1)])
    with Journal(tmp_path):
        pass


def test_a_topic_of_others_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal, pytest.raises(ValueError, match="no gateway's topic"):
        journal.append([Record("somebody/else", NOON_MS, (), b"")])


def test_only_expired_segments_of_this_instance_are_deleted(tmp_path: Path) -> None:
    with Journal(tmp_path, instance="2") as other:
        other.append([record(1)])
    with Journal(tmp_path, keep_days=7) as journal:
        journal.append([record(2), record(3, received_at_ms=NOON_MS + 5 * DAY_MS)])
        assert journal.remove_expired(date(2026, 9, 29)) == ()
        assert journal.remove_expired(date(2026, 9, 30)) == (tmp_path / "demo" / "2026-09-22.1.1.zwj",)
        assert [str(name) for name in journal.reader.segments("demo")] == [
            "2026-09-22.2.1.zwj",
            "2026-09-27.1.1.zwj",
        ]


def test_an_expired_segment_that_cannot_be_deleted_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "demo").mkdir()
    with Journal(tmp_path, keep_days=7) as journal:
        journal.append([record(1)])
        stubborn = tmp_path / "demo" / "2026-09-21.1.1.zwj"
        stubborn.mkdir()
        assert journal.remove_expired(date(2026, 9, 30)) == (tmp_path / "demo" / "2026-09-22.1.1.zwj",)
    assert str(stubborn) in caplog.text


def test_the_journal_is_kept_for_ever_by_default(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append([record(1, received_at_ms=NOON_MS)])
        assert journal.remove_expired(date(2126, 1, 1)) == ()


def test_a_place_that_is_gone_gives_nothing(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path)
    assert reader.maybe_record(JournalPlace("demo", "2026-09-22.1.1.zwj", 19, 0)) is None
    assert list(reader.read("demo")) == []
    assert reader.parks() == ()


def test_names_of_segments_are_read_as_written() -> None:
    name = SegmentName(DAY, "a-1", 12)
    assert SegmentName.maybe_parse(str(name)) == name
    assert SegmentName.maybe_parse("2026-09-22.a.zwj") is None
    assert SegmentName.maybe_parse("2026-13-22.1.1.zwj") is None
    assert SegmentName(DAY, "1", 9) < SegmentName(DAY, "1", 10)


_WRITER = """
import sys
from pathlib import Path
from ingest.journal.journal import Journal
from ingest.journal.segments import Record
with Journal(Path(sys.argv[1]), full_bytes=20_000) as journal:
    for number in range(100_000):
        record = Record("zonewise/v1/demo/gw-1/data", 1_790_078_400_000, (), b"%020d" % number)
        journal.append([record])
        print(number, flush=True)
"""


@pytest.mark.servers
def test_readers_see_whole_records_while_another_process_appends_and_is_killed(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path)
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    try:
        acknowledged = -1
        for _ in range(30):
            acknowledged = int(writer.stdout.readline())
            read = [int(body) for body in bodies(reader)]
            assert read == list(range(len(read)))
            assert len(read) > acknowledged
    finally:
        writer.kill()
        last_words = writer.communicate()[0].split()
    acknowledged = int(last_words[-1]) if last_words else acknowledged
    with Journal(tmp_path) as journal:
        assert len(bodies(journal)) > acknowledged
