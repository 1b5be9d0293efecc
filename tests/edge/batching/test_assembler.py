"""Packing readings into messages: nothing lost, nothing above the limits, times in order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.batching.assembler import Assembler, AssemblerLimits
from edge.errors import MessageTooLarge
from edge.outbox.entry import seal
from metering.messages.data import MAX_ROWS, TARGET_BYTES, Message, encode, inflate
from metering.quantities import Medium
from metering.readings import Reading, ReadingFlag, Row

EPOCH = "00000000000000a1"
NOON_MS = 1_790_000_000_000


def reading(
    meter: str = "m-1", *, at_ms: int = NOON_MS, width: int = 2, medium: Medium = Medium.WATER
) -> Reading:
    names = tuple(f"quantity_{number}" for number in range(width))
    return Reading(medium, names, Row(meter, at_ms, 0, tuple(float(n) for n in range(width))))


def assembler(**limits: float) -> Assembler:
    return Assembler(gateway="gw-1", epoch=EPOCH, limits=AssemblerLimits(**limits))  # type: ignore[arg-type] # ints where ints belong


def rows_of(messages: list[Message]) -> list[Row]:
    return [row for message in messages for block in message.blocks for row in block.rows]


def test_a_message_closes_200_ms_after_its_first_reading() -> None:
    one = assembler()
    assert one.maybe_closes_at_s is None
    assert not one.add(reading(), now_s=10.0)
    assert not one.add(reading("m-2"), now_s=10.15)
    assert one.maybe_closes_at_s == pytest.approx(10.2)
    assert one.maybe_close(now_s=10.19) is None
    closed = one.maybe_close(now_s=10.2)
    assert closed is not None
    assert (closed.id.seq, closed.row_count) == (1, 2)
    assert one.maybe_close(now_s=11) is None
    assert one.flush() is None


def test_rows_with_the_same_columns_share_a_block() -> None:
    one = assembler()
    for number in range(4):
        one.add(reading(f"m-{number}", width=1 + number % 2), now_s=0)
    one.add(reading("m-9", medium=Medium.GAS), now_s=0)
    closed = one.flush()
    assert closed is not None
    assert [len(block.rows) for block in closed.blocks] == [2, 2, 1]


def test_it_closes_at_500_rows() -> None:
    one = assembler()
    closed = [message for n in range(1200) for message in one.add(reading(f"m-{n}"), now_s=0)]
    assert [message.row_count for message in closed] == [MAX_ROWS, MAX_ROWS]
    assert [message.id.seq for message in closed] == [1, 2]


def test_one_reading_above_the_target_travels_alone() -> None:
    one = assembler(target_bytes=300)
    one.add(reading(), now_s=0)
    (before,) = one.add(reading("m-2", width=100), now_s=0)
    (alone,) = one.add(reading("m-3"), now_s=0)
    assert (before.row_count, alone.row_count) == (1, 1)


def test_a_reading_that_no_message_can_hold_is_refused() -> None:
    one = assembler()
    with pytest.raises(MessageTooLarge):
        one.add(reading(width=60_000), now_s=0)
    assert one.open_rows == 0


@pytest.mark.parametrize(
    ("second_ms", "expected_ms", "flagged"),
    [(0, 1, False), (-1, 1, False), (-1000, 1, True), (-1999, 1, True)],
)
def test_times_of_a_meter_rise_strictly(second_ms: int, expected_ms: int, *, flagged: bool) -> None:
    one = assembler()
    one.add(reading(), now_s=0)
    one.add(reading(at_ms=NOON_MS + second_ms), now_s=0)
    one.add(reading("m-2", at_ms=NOON_MS + second_ms), now_s=0)
    closed = one.flush()
    assert closed is not None
    _first, second, other = rows_of([closed])
    assert second.taken_at_ms == NOON_MS + expected_ms
    assert bool(second.quality & ReadingFlag.CLOCK_UNSYNCHRONISED) is flagged
    assert other.taken_at_ms == NOON_MS + second_ms


@pytest.mark.parametrize("back_ms", [2000, 5000, 86_400_000])
def test_after_a_larger_step_back_times_follow_the_clock(back_ms: int) -> None:
    one = assembler()
    one.add(reading(), now_s=0)
    for second in range(3):
        one.add(reading(at_ms=NOON_MS - back_ms + 1000 * second), now_s=0)
    closed = one.flush()
    assert closed is not None
    _false, *true = rows_of([closed])
    assert [row.taken_at_ms - NOON_MS + back_ms for row in true] == [0, 1000, 2000]
    assert [row.quality for row in true] == [0, 0, 0]


def test_a_sealed_message_is_readable_json_when_small_and_deflated_when_large() -> None:
    one = assembler()
    one.add(reading(), now_s=0)
    small = one.flush()
    for number in range(100):
        one.add(reading(f"m-{number}"), now_s=0)
    large = one.flush()
    assert small is not None
    assert large is not None
    assert seal(small).body == encode(small)
    assert seal(large).is_deflated
    assert inflate(seal(large).body) == encode(large)
    assert seal(large).tag.rows == 100


READINGS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(-50, 50), st.integers(1, 40), st.floats(0, 0.3)), max_size=80
)


@settings(deadline=None)
@given(READINGS, st.integers(200, 3000), st.integers(1, 12))
def test_every_row_comes_out_once_within_the_limits(
    given_readings: list[tuple[int, int, int, float]], target_bytes: int, max_rows: int
) -> None:
    one = assembler(target_bytes=target_bytes, max_rows=max_rows)
    now_s, closed = 0.0, []
    for meter, at_ms, width, pause_s in given_readings:
        now_s += pause_s
        closed += [message for message in [one.maybe_close(now_s=now_s)] if message]
        closed += one.add(reading(f"m-{meter}", at_ms=NOON_MS + at_ms, width=width), now_s=now_s)
    closed += [message for message in [one.flush()] if message]

    assert [message.id.seq for message in closed] == list(range(1, len(closed) + 1))
    assert all(message.row_count <= max_rows for message in closed)
    assert all(len(encode(message)) <= target_bytes or message.row_count == 1 for message in closed)
    assert len(rows_of(closed)) == len(given_readings)
    for meter in range(6):
        times = [row.taken_at_ms for row in rows_of(closed) if row.meter == f"m-{meter}"]
        assert len(times) == sum(1 for given_one in given_readings if given_one[0] == meter)
        assert len(set(times)) == len(times)


def test_the_default_target_is_well_below_what_travels() -> None:
    one = assembler()
    closed = [message for n in range(2000) for message in one.add(reading(f"m-{n}", width=30), now_s=0)]
    assert closed
    assert all(len(encode(message)) <= TARGET_BYTES for message in closed)
