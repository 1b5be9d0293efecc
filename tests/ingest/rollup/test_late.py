"""Late notices: each is dealt with once, a stream of them together."""

from ingest.intervals.spans import SlotSpan, merged, runs
from ingest.rollup.late import LateNoticeLog
from ingest.rollup.series.raw import LateNotice
from metering.series import LATE_REREAD_MS, SLOT_MS

NOW = 100 * SLOT_MS
TICK = 10_000


def notice(at_ms: int, *, meter: str = "m", from_ms: int = 0, to_ms: int = 1) -> LateNotice:
    return LateNotice(meter, "1", at_ms, from_ms, to_ms)


def test_a_notice_is_due_when_nothing_new_follows() -> None:
    book = LateNoticeLog(since_ms=NOW)

    book.note([notice(NOW)], now_ms=NOW)
    assert book.due(now_ms=NOW, is_patient=True) == {}
    assert book.due(now_ms=NOW, is_patient=False) == {"m": (0, 1)}

    book.note([notice(NOW)], now_ms=NOW + TICK)
    assert book.due(now_ms=NOW + TICK, is_patient=True) == {"m": (0, 1)}


def test_a_stream_is_dealt_with_together_and_at_last_after_two_minutes() -> None:
    book = LateNoticeLog(since_ms=NOW)
    for tick in range(12):
        book.note([notice(NOW + tick, from_ms=tick, to_ms=tick + 5)], now_ms=NOW + tick * TICK)
        assert book.due(now_ms=NOW + tick * TICK, is_patient=True) == {}

    book.note([notice(NOW + 12, from_ms=12, to_ms=17)], now_ms=NOW + 12 * TICK)
    assert book.due(now_ms=NOW + 12 * TICK, is_patient=True) == {"m": (0, 17)}


def test_what_is_not_done_stays_due_and_what_is_done_does_not_come_back() -> None:
    book = LateNoticeLog(since_ms=NOW)
    book.note([notice(NOW), notice(NOW, meter="n")], now_ms=NOW)
    book.note([], now_ms=NOW + TICK)
    assert book.due(now_ms=NOW + TICK, is_patient=True).keys() == {"m", "n"}

    book.done(["m"])
    book.note([notice(NOW), notice(NOW, meter="n")], now_ms=NOW + 2 * TICK)
    assert book.due(now_ms=NOW + 2 * TICK, is_patient=True).keys() == {"n"}


def test_the_last_ten_minutes_are_read_again() -> None:
    book = LateNoticeLog(since_ms=NOW)
    assert book.read_from_ms == NOW - LATE_REREAD_MS

    book.note([], now_ms=NOW + TICK)
    assert book.read_from_ms == NOW + TICK - LATE_REREAD_MS


def test_spans_are_merged_and_runs_found() -> None:
    one, two, far = SlotSpan(0, SLOT_MS), SlotSpan(SLOT_MS, 3 * SLOT_MS), SlotSpan(9 * SLOT_MS, 10 * SLOT_MS)

    assert merged([far, two, one]) == [SlotSpan(0, 3 * SLOT_MS), far]
    assert runs([2 * SLOT_MS, 0, 9 * SLOT_MS, SLOT_MS]) == [SlotSpan(0, 3 * SLOT_MS), far]
    assert list(SlotSpan(0, 3 * SLOT_MS).chunks(2)) == [
        SlotSpan(0, 2 * SLOT_MS),
        SlotSpan(2 * SLOT_MS, 3 * SLOT_MS),
    ]


def test_notices_of_a_clock_that_was_set_back_are_read() -> None:
    book = LateNoticeLog(since_ms=NOW)
    book.note([], now_ms=NOW)
    back = NOW - 60 * 60_000
    book.note([], now_ms=back)
    assert book.read_from_ms <= back
    book.note([notice(back + 1)], now_ms=back + TICK)
    book.note([notice(back + 1)], now_ms=back + 2 * TICK)
    assert book.due(now_ms=back + 2 * TICK, is_patient=True) == {"m": (0, 1)}
