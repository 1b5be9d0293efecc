"""What is ahead of the clock waits for its time; without I/O."""

import json

from ingest.journal.quarantine_entry import QuarantineEntry
from ingest.journal.segments import JournalPlace, Record
from ingest.pipeline.ahead import Ahead, maybe_due_ms
from ingest.validation.rows import MAX_AHEAD_MS

NOON_MS = 1_790_078_400_000
HOUR = 3_600_000


def entry(
    number: int, *, reason: str = "absurd_time", rows: tuple[int, ...] | None = (0,)
) -> QuarantineEntry:
    place = JournalPlace("demo", "2026-09-22.1.1.zwj", number, 0)
    return QuarantineEntry("demo", reason, NOON_MS, place, 1, rows=rows, gateway="gw-1")


def record(*times_ms: object) -> Record:
    rows = [["m-1", time_ms, 0, 1] for time_ms in times_ms]
    block = {"medium": "water", "quantities": ["volume_l"], "rows": rows}
    told = {"schema": 1, "gateway": "gw-1", "epoch": "00000000000000aa", "seq": 1, "blocks": [block]}
    return Record("zonewise/v1/demo/gw-1/data", NOON_MS, (), json.dumps(told).encode())


def test_an_entry_is_due_when_its_first_row_is_no_longer_ahead() -> None:
    one = record(NOON_MS + 2 * HOUR, NOON_MS + HOUR, NOON_MS + 3 * HOUR)
    assert maybe_due_ms(entry(1, rows=(0, 2)), one) == NOON_MS + 2 * HOUR - MAX_AHEAD_MS
    assert maybe_due_ms(entry(1, rows=None), one) == NOON_MS + HOUR - MAX_AHEAD_MS


def test_what_never_was_ahead_is_never_due() -> None:
    assert maybe_due_ms(entry(1), record(0)) is None
    assert maybe_due_ms(entry(1), record("soon")) is None
    assert maybe_due_ms(entry(1, reason="foreign_meter"), record(NOON_MS + HOUR)) is None
    assert maybe_due_ms(entry(1), Record("zonewise/v1/demo/gw-1/data", NOON_MS, (), b"{")) is None


def test_a_birth_is_due_like_a_row() -> None:
    told = {
        "schema": 1, "gateway": "gw-1", "epoch": "00000000000000aa", "time_ms": NOON_MS + HOUR,
        "software": "t", "meters": {},
    }  # fmt: skip
    born = Record("zonewise/v1/demo/gw-1/birth", NOON_MS, (), json.dumps(told).encode())
    assert maybe_due_ms(entry(1, rows=None), born) == NOON_MS + HOUR - MAX_AHEAD_MS


def test_entries_come_in_the_order_of_their_times_and_once() -> None:
    ahead = Ahead()
    for number, due_ms in ((1, 30), (2, 10), (3, 20), (2, 10)):
        ahead.note(entry(number), due_ms)
    assert ahead.rows == 3
    assert ahead.maybe_take(9) is None
    assert [ahead.maybe_take(20), ahead.maybe_take(20), ahead.maybe_take(20)] == [entry(2), entry(3), None]
    assert ahead.rows == 1
    ahead.note(entry(2), 40)
    assert ahead.rows == 2


def test_where_there_is_no_room_the_least_urgent_entry_goes_and_is_recalled() -> None:
    ahead = Ahead(max_entries=2)
    for number, due_ms in ((1, 30), (2, 10), (3, 20)):
        ahead.note(entry(number), due_ms)
    assert (ahead.rows, ahead.left_out, ahead.must_recall) == (2, 1, False)
    assert [ahead.maybe_take(99), ahead.maybe_take(99), ahead.maybe_take(99)] == [entry(2), entry(3), None]
    assert ahead.must_recall
