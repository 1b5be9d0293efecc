"""The writer against a real InfluxDB, and against a stand-in for the answers that one seldom gives."""

import asyncio
import itertools

import pytest

from ingest.events.open_events import OpenEvents
from ingest.pipeline.writer import ALARM_AFTER_MS, LateNotices, ParkWriter
from ingest.store.contract import Store
from ingest.store.influx import open_store
from ingest.store.settings import Flavour, StoreConfig
from ingest.validation.rows import StoredRow
from metering.series import SLOT_MS
from tests.peers.http_answers import Answer, HttpAnswers, answering

NOW_MS = 1_790_000_000_000 // SLOT_MS * SLOT_MS + 5 * 60_000
DONE = Answer(204)


def row(number: int, taken_at_ms: int = NOW_MS) -> StoredRow:
    return StoredRow(
        b"electricity,meter=m-%d,park=demo quality=0i %d" % (number, taken_at_ms),
        f"m-{number}",
        taken_at_ms,
        number,
    )


def writer(url: str, events: OpenEvents | None = None, *, step_ms: int = 0) -> ParkWriter:
    return writer_into(open_store(StoreConfig(flavour=Flavour.ONE, url=url)), events, step_ms=step_ms)


def writer_into(store: Store, events: OpenEvents | None = None, *, step_ms: int = 0) -> ParkWriter:
    ticks = itertools.count(NOW_MS, step_ms)
    return ParkWriter(
        store,
        "demo",
        instance="1",
        events=events or OpenEvents(),
        clock_ms=lambda: next(ticks),
        jitter=lambda: 1.0,
    )


def bodies(peer: HttpAnswers) -> list[int]:
    """Return the number of lines of each request."""
    return [request.body.count(b"\n") + 1 for request in peer.requests]


@pytest.mark.parametrize(
    "answer", [Answer(429, headers={"Retry-After": "1"}), Answer(503), Answer(500, b"{}")]
)
async def test_what_may_work_later_is_tried_again_as_it_was(answer: Answer) -> None:
    with answering([answer, answer, DONE]) as peer:
        one = writer(peer.url)
        assert await one.write_rows([row(1), row(2)]) == []
        assert bodies(peer) == [2, 2, 2]
        assert one.maybe_trouble is None


async def test_nobody_there_is_tried_again() -> None:
    with answering([DONE]) as peer:
        url = peer.url
    one = writer(url)
    writing = asyncio.create_task(one.write_rows([row(1)]))
    async with asyncio.timeout(20):
        while one.maybe_trouble is None:  # noqa: ASYNC110 - a state that the local pages show, with no event
            await asyncio.sleep(0.01)
    writing.cancel()
    assert not one.maybe_trouble.is_denied


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_denial_is_an_event_until_it_works(status: int) -> None:
    events = OpenEvents()
    with answering([Answer(status, b'{"error":"no"}'), DONE]) as peer:
        assert await writer(peer.url, events).write_rows([row(1)]) == []
    assert [(one.kind, one.is_open) for one in events.take(NOW_MS)] == [
        ("store_denied", True),
        ("store_denied", False),
    ]


async def test_an_outage_of_more_than_a_minute_is_an_event() -> None:
    events = OpenEvents()
    with answering([Answer(503), Answer(503), Answer(503), DONE]) as peer:
        await writer(peer.url, events, step_ms=ALARM_AFTER_MS // 2).write_rows([row(1)])
    assert [(one.kind, one.is_open) for one in events.take(NOW_MS)] == [
        ("store_unavailable", True),
        ("store_unavailable", False),
    ]


async def test_what_is_too_large_is_halved() -> None:
    with answering([Answer(413), Answer(413), DONE]) as peer:
        assert await writer(peer.url).write_rows([row(n) for n in range(8)]) == []
        assert bodies(peer) == [8, 4, 2, 2, 4]


@pytest.mark.servers
async def test_a_refused_line_is_found_among_many(any_store: Store) -> None:
    """1.x stores the good lines of a refused body, 2.x only if all can be parsed."""
    any_store.ensure("demo_raw")
    rows = [row(n) for n in range(100)]
    bad = [7, 8, 50, 99]
    rows[50] = rows[50]._replace(line=b"nonsense")
    for number in (7, 8, 99):
        # A field that is an integer already cannot become a text.
        rows[number] = rows[number]._replace(line=b'electricity,meter=m-1,park=demo quality="x" %d' % NOW_MS)
    assert await writer_into(any_store).write_rows(rows) == bad
    (series,) = any_store.query("demo_raw", 'SELECT count("quality") FROM "electricity"')
    assert series.rows[0][1] == 96


async def test_nothing_is_written_of_nothing() -> None:
    with answering([DONE]) as peer:
        assert await writer(peer.url).write_points([]) == []
        assert peer.requests == []


def test_late_is_more_than_a_minute_after_the_end_of_the_slot() -> None:
    slot = NOW_MS // SLOT_MS * SLOT_MS
    for now_ms, is_late in ((slot + 60_000, True), (slot + 59_999, False)):
        lines = LateNotices("demo", "1", lambda now_ms=now_ms: now_ms).lines([row(1, slot - 1), row(1, slot)])
        assert bool(lines) is is_late


def test_late_points_hold_each_meters_span_and_their_times_rise() -> None:
    book = LateNotices("demo", "1", lambda: NOW_MS)
    rows = [
        row(1, NOW_MS - 5 * SLOT_MS),
        row(1, NOW_MS - 9 * SLOT_MS),
        row(2, NOW_MS - 2 * SLOT_MS),
        row(3, NOW_MS),
    ]
    first = [line.decode() for line in book.lines(rows)]
    assert first == [
        f"late,instance=1,meter=m-1,park=demo from_ms={NOW_MS - 9 * SLOT_MS}i,to_ms={NOW_MS - 5 * SLOT_MS}i {NOW_MS}",
        f"late,instance=1,meter=m-2,park=demo from_ms={NOW_MS - 2 * SLOT_MS}i,to_ms={NOW_MS - 2 * SLOT_MS}i {NOW_MS}",
    ]
    assert book.lines(rows)[0].endswith(b" %d" % (NOW_MS + 1))


def test_late_points_of_a_clock_that_is_set_back_lie_behind_those_before() -> None:
    clock = {"ms": NOW_MS}
    book = LateNotices("demo", "1", lambda: clock["ms"])
    assert book.lines([row(1, NOW_MS)]) == []
    clock["ms"] = NOW_MS - 4 * SLOT_MS
    # By the clock that was set back these slots have not ended yet; the rollup published them by the old one.
    (line,) = book.lines([row(1, NOW_MS - 2 * SLOT_MS)])
    assert int(line.rpartition(b" ")[2]) >= NOW_MS
    # The same after a restart, which knows the newest receipt from the journal.
    again = LateNotices("demo", "1", lambda: clock["ms"], since_ms=NOW_MS)
    (line,) = again.lines([row(1, NOW_MS - 2 * SLOT_MS)])
    assert int(line.rpartition(b" ")[2]) >= NOW_MS
