"""The quarantine on a real disk: nothing that was set aside disappears."""

import logging
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ingest.commands.quarantine import command
from ingest.errors import QuarantineError
from ingest.journal.quarantine import Quarantine, QuarantineLimits
from ingest.journal.quarantine_entry import QuarantineEntry
from ingest.journal.segments import JournalPlace
from tests.peers.full_disk import files_limited_to

NOON_MS = 1_790_078_400_000  # 2026-09-22T12:00:00Z
DAY_MS = 86_400_000
PLACE = JournalPlace("demo", "2026-09-22.1.1.zwj", 19, 3)
ENTRY = QuarantineEntry(
    park="demo",
    reason="foreign_meter",
    received_at_ms=NOON_MS,
    place=PLACE,
    row_count=2,
    rows=(4, 7),
    gateway="gw-1",
    epoch="0123456789abcdef",
    seq=12,
    detail="z1-main belongs to gw-2",
)
WHOLE = replace(ENTRY, reason="not_json", rows=None, row_count=30, epoch=None, seq=None, detail="")


def test_entries_come_back_as_they_were(tmp_path: Path) -> None:
    with Quarantine(tmp_path) as quarantine:
        quarantine.add([ENTRY, WHOLE])
        quarantine.add([replace(ENTRY, received_at_ms=NOON_MS + DAY_MS)])
        quarantine.add([replace(ENTRY, park="other")])
    again = Quarantine(tmp_path)
    assert list(again.read("demo")) == [ENTRY, WHOLE, replace(ENTRY, received_at_ms=NOON_MS + DAY_MS)]
    assert again.parks() == ("demo", "other")
    assert list(again.read("nowhere")) == []


def test_entries_are_found_by_reason_and_time(tmp_path: Path) -> None:
    later = replace(ENTRY, received_at_ms=NOON_MS + 1)
    tomorrow = replace(WHOLE, received_at_ms=NOON_MS + DAY_MS)
    with Quarantine(tmp_path) as quarantine:
        quarantine.add([ENTRY, later, WHOLE, tomorrow])
        assert list(quarantine.read("demo", reason="not_json")) == [WHOLE, tomorrow]
        assert list(quarantine.read("demo", since_ms=NOON_MS + 1)) == [later, tomorrow]
        assert quarantine.rows_by_reason("demo") == Counter(not_json=60, foreign_meter=4)
        assert quarantine.rows_by_reason("demo", since_ms=NOON_MS + DAY_MS) == Counter(not_json=30)


def test_a_torn_last_line_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Quarantine(tmp_path) as quarantine:
        quarantine.add([ENTRY, WHOLE])
    path = tmp_path / "demo" / "2026-09-22.1.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    with caplog.at_level(logging.WARNING), Quarantine(tmp_path) as quarantine:
        assert list(quarantine.read("demo")) == [ENTRY]
        quarantine.add([WHOLE])
        assert list(quarantine.read("demo")) == [ENTRY, WHOLE]
    assert "torn last line cut off" in caplog.text


@pytest.mark.parametrize(
    "line", [b"5", b"[]", b"{}", b'{"rows":1}', b"\xff\xfe", b'{"rows":null,"place":{}}']
)
def test_what_is_no_entry_is_skipped_with_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    with Quarantine(tmp_path) as quarantine:
        quarantine.add([ENTRY])
        path = tmp_path / "demo" / "2026-09-22.1.jsonl"
        path.write_bytes(line + b"\n" + path.read_bytes())
        with caplog.at_level(logging.WARNING):
            assert list(quarantine.read("demo")) == [ENTRY]
    assert f"{path}:1: no entry" in caplog.text


def test_a_full_disk_is_named_and_leaves_no_half_line(tmp_path: Path) -> None:
    with Quarantine(tmp_path) as quarantine:
        quarantine.add([ENTRY])
        with files_limited_to(1000), pytest.raises(QuarantineError, match=r"2026-09-22\.1\.jsonl") as caught:
            quarantine.add([ENTRY] * 20)
        assert caught.value.transient
        quarantine.add([WHOLE])
        assert list(quarantine.read("demo")) == [ENTRY, WHOLE]


def test_a_file_that_was_deleted_is_begun_anew_with_an_error_first(tmp_path: Path) -> None:
    with Quarantine(tmp_path) as quarantine:
        quarantine.add([ENTRY])
        (tmp_path / "demo" / "2026-09-22.1.jsonl").unlink()
        with pytest.raises(QuarantineError, match="deleted"):
            quarantine.add([WHOLE])
        quarantine.add([WHOLE])
        assert list(quarantine.read("demo")) == [WHOLE]


def test_a_file_that_was_deleted_to_make_room_is_begun_anew(tmp_path: Path) -> None:
    with Quarantine(tmp_path) as quarantine:
        quarantine.add([ENTRY])
        with files_limited_to(1000), pytest.raises(QuarantineError):
            quarantine.add([ENTRY] * 20)
        (tmp_path / "demo" / "2026-09-22.1.jsonl").unlink()
        with pytest.raises(QuarantineError, match="deleted"):
            quarantine.add([WHOLE])
        quarantine.add([WHOLE])
        assert list(quarantine.read("demo")) == [WHOLE]


@given(st.text(max_size=800))
def test_whatever_a_stranger_wrote_is_kept_as_far_as_it_can_be(
    tmp_path_factory: pytest.TempPathFactory, detail: str
) -> None:
    with Quarantine(tmp_path_factory.mktemp("quarantine")) as quarantine:
        quarantine.add([replace(ENTRY, detail=detail)])
        (read,) = quarantine.read("demo")
    assert read.detail == detail[:500].encode(errors="replace").decode()


def test_a_quota_counts_a_gateways_entries_of_a_day_also_after_a_restart(tmp_path: Path) -> None:
    limits = QuarantineLimits(gateway_day_bytes=500)
    for _ in range(2):
        with Quarantine(tmp_path, limits=limits) as quarantine:
            assert not quarantine.is_full("demo", "gw-1", NOON_MS)
            quarantine.add([ENTRY])
    with Quarantine(tmp_path, limits=limits) as quarantine:
        assert quarantine.is_full("demo", "gw-1", NOON_MS)
        assert not quarantine.is_full("demo", "gw-2", NOON_MS)
        assert not quarantine.is_full("other", "gw-1", NOON_MS)
        assert not quarantine.is_full("demo", "gw-1", NOON_MS + DAY_MS)
        assert quarantine.is_full("demo", "gw-1", NOON_MS)


def test_files_older_than_is_kept_are_deleted_whatever_the_instance(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = replace(ENTRY, received_at_ms=NOON_MS + DAY_MS)
    with (
        Quarantine(tmp_path, instance="1-replay") as replaying,
        Quarantine(tmp_path, limits=QuarantineLimits(keep_days=30)) as quarantine,
    ):
        replaying.add([ENTRY])
        quarantine.add([ENTRY, other])
        quarantine.remove_expired(date(2026, 10, 22))
        assert len(list(quarantine.read("demo"))) == 3
        with caplog.at_level(logging.INFO):
            quarantine.remove_expired(date(2026, 10, 23))
        assert list(quarantine.read("demo")) == [other]
        assert caplog.text.count("older than is kept, deleted") == 2
        quarantine.add([ENTRY])
        assert list(quarantine.read("demo")) == [ENTRY, other]


def test_the_list_fits_a_terminal_and_cannot_steer_it(tmp_path: Path, ingest_yaml: Path) -> None:
    with Quarantine(tmp_path / "data" / "quarantine") as quarantine:
        quarantine.add([ENTRY, replace(WHOLE, detail="\x1b[2J" + "x" * 300)])
    shown = CliRunner().invoke(command, ["list", "--config", str(ingest_yaml)])
    assert shown.exit_code == 0
    assert max(len(line) for line in shown.output.splitlines()) <= 80
    assert "\x1b" not in shown.output
    assert "2026-09-22 12:00:00  gw-1                2  foreign_meter: z1-main" in shown.output
    assert "30 rows: not_json" in shown.output


def test_the_list_can_be_narrowed(tmp_path: Path, ingest_yaml: Path) -> None:
    with Quarantine(tmp_path / "data" / "quarantine") as quarantine:
        quarantine.add([ENTRY, WHOLE])

    def shown(*options: str) -> str:
        return CliRunner().invoke(command, ["list", "--config", str(ingest_yaml), *options]).output

    assert "foreign_meter" not in shown("--reason", "not_json")
    assert "  ... 1 earlier ones (--last shows more)\n" in shown("--last", "1")
    assert "2 rows: foreign_meter" in shown("--last", "1")
    assert shown("--since", "2026-09-23") == "Nothing is in the quarantine.\n"
    assert shown("--park", "other") == "Nothing is in the quarantine.\n"
