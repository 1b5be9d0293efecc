"""The clock and the rows that wait for it, with clocks that the tests move."""

import pytest

from edge.batching.assembler import Assembler
from edge.batching.clock import Clock, Observation, Stamper, Step, TimeSource
from edge.drivers.polled import Polled
from metering.quantities import Medium
from metering.readings import ReadingFlag

S = 1_000_000_000
NOON_NS = 1_790_000_000 * S
IN_1970_NS = 100 * S


def seen(at_s: float, *, wall_ns: int = NOON_NS, synchronised: bool = False) -> Observation:
    """Look at a machine that was started at `wall_ns`, so many seconds ago."""
    return Observation(round(at_s * S), wall_ns + round(at_s * S), synchronised)


def polled(at_s: float) -> Polled:
    return Polled("m-1", Medium.WATER, ("volume_l",), (5,), 0, round(at_s * S))


def stamper(clock: Clock, **limits: int) -> Stamper:
    return Stamper(clock, **limits)


def test_a_trusted_clock_stamps_at_once() -> None:
    one = stamper(Clock(seen(0), trusted=True))
    one.take(polled(1.5))
    (reading,) = one.release(now_monotonic_ns=round(1.6 * S))
    assert reading.row.taken_at_ms == (NOON_NS + round(1.5 * S)) // 1_000_000
    assert reading.row.quality == 0


def test_rows_wait_for_synchronisation_and_get_the_right_time_then() -> None:
    clock = Clock(seen(0, wall_ns=NOON_NS - 3600 * S), trusted=False)
    one = stamper(clock)
    one.take(polled(1))
    assert not one.release(now_monotonic_ns=2 * S)
    clock.observe(seen(5, synchronised=True))
    (reading,) = one.release(now_monotonic_ns=5 * S)
    assert reading.row.taken_at_ms == (NOON_NS + S) // 1_000_000
    assert reading.row.quality == 0
    assert (clock.source, clock.steps) == (TimeSource.SYSTEM, 1)


def test_after_fifteen_minutes_a_row_goes_flagged() -> None:
    one = stamper(Clock(seen(0), trusted=False))
    one.take(polled(1))
    one.take(polled(500))
    assert not one.release(now_monotonic_ns=900 * S)
    (reading,) = one.release(now_monotonic_ns=901 * S)
    assert reading.row.quality == ReadingFlag.CLOCK_UNSYNCHRONISED
    assert one.waiting == 1


def test_an_acknowledgement_brings_the_time_where_nobody_else_does() -> None:
    clock = Clock(seen(0, wall_ns=NOON_NS - 7200 * S), trusted=False)
    one = stamper(clock)
    one.take(polled(950))
    clock.learn_from_ack(
        time_ms=(NOON_NS + 1000 * S) // 1_000_000, round_trip_s=0.4, received_monotonic_ns=1000 * S
    )
    (reading,) = one.release(now_monotonic_ns=1000 * S)
    assert clock.source is TimeSource.INGEST
    assert reading.row.quality == 0
    assert abs(reading.row.taken_at_ms - (NOON_NS + 950 * S) // 1_000_000) <= 200


@pytest.mark.parametrize("round_trip_s", [2.5, float("inf")])
def test_a_slow_acknowledgement_tells_nothing(round_trip_s: float) -> None:
    clock = Clock(seen(0), trusted=False)
    clock.learn_from_ack(time_ms=5, round_trip_s=round_trip_s, received_monotonic_ns=S)
    assert not clock.is_known


def test_a_synchronised_system_is_believed_rather_than_ingest() -> None:
    clock = Clock(seen(0, synchronised=True), trusted=False)
    clock.learn_from_ack(time_ms=5, round_trip_s=0.1, received_monotonic_ns=S)
    assert clock.source is TimeSource.SYSTEM
    assert clock.wall_ms(0) == NOON_NS // 1_000_000


def test_synchronisation_once_seen_lasts() -> None:
    clock = Clock(seen(0, synchronised=True), trusted=False)
    clock.observe(seen(5, synchronised=False))
    assert clock.is_known


def test_a_step_of_the_clock_is_followed() -> None:
    clock = Clock(seen(0), trusted=True)
    clock.observe(seen(10, wall_ns=NOON_NS + 30 * S))
    assert clock.wall_ms(10 * S) == (NOON_NS + 40 * S) // 1_000_000


DAY_S = 86_400
POLL_S = 600


def test_two_days_after_a_forward_error_of_a_day_carry_true_times_again() -> None:
    """Today is false for an hour, then the clock is mended: no later row may remember tomorrow."""
    clock = Clock(seen(0, wall_ns=NOON_NS + DAY_S * S), trusted=True)
    one, packing = stamper(clock), Assembler(gateway="gw-1", epoch="00000000000000a1")
    mended_s, closed = 3600, []
    for at_s in range(0, 2 * DAY_S, POLL_S):
        if at_s >= mended_s:
            clock.observe(seen(at_s))
        one.take(polled(at_s))
        for reading in one.release(now_monotonic_ns=at_s * S):
            closed += packing.add(reading, now_s=at_s)
    rows = [
        row for message in [*closed, packing.flush()] if message for b in message.blocks for row in b.rows
    ]
    true = rows[mended_s // POLL_S :]
    assert len(rows) == 2 * DAY_S // POLL_S
    assert [row.taken_at_ms for row in true] == [
        (NOON_NS + at_s * S) // 1_000_000 for at_s in range(mended_s, 2 * DAY_S, POLL_S)
    ]
    assert {row.quality for row in true} == {0}
    assert clock.steps == 1
    assert clock.maybe_step == Step(by_s=-DAY_S, at_ms=NOON_NS // 1_000_000 + mended_s * 1000)


def test_a_small_step_is_followed_and_is_no_event() -> None:
    clock = Clock(seen(0), trusted=True)
    clock.observe(seen(10, wall_ns=NOON_NS - 2 * S))
    assert clock.wall_ms(10 * S) == (NOON_NS + 8 * S) // 1_000_000
    assert (clock.steps, clock.maybe_step) == (0, None)


def test_the_time_of_ingest_counts_as_a_step_where_it_moves_the_clock() -> None:
    clock = Clock(seen(0, wall_ns=NOON_NS - 7200 * S), trusted=False)
    noon_ms = NOON_NS // 1_000_000
    for at_s, ahead_ms in ((1000, 0), (1010, 300), (1020, -60_000)):
        time_ms = noon_ms + 1000 * at_s + ahead_ms
        clock.learn_from_ack(time_ms=time_ms, round_trip_s=0.0, received_monotonic_ns=at_s * S)
    assert clock.steps == 2
    assert clock.maybe_step == Step(by_s=-60.3, at_ms=noon_ms + 1_020_000 - 60_000)


def test_rows_before_2020_go_on_waiting_and_are_counted_when_discarded() -> None:
    clock = Clock(seen(0, wall_ns=IN_1970_NS), trusted=False)
    one = stamper(clock)
    one.take(polled(1))
    assert not one.release(now_monotonic_ns=10_000 * S)
    assert not one.flush()
    assert one.collect_discarded() == 1
    assert one.collect_discarded() == 0


def test_the_number_of_waiting_rows_is_bounded_and_the_oldest_are_counted() -> None:
    clock = Clock(seen(0), trusted=False)
    one = stamper(clock, max_rows=10)
    for second in range(25):
        one.take(polled(second))
    assert (one.waiting, one.collect_discarded()) == (10, 15)
    clock.observe(seen(30, synchronised=True))
    released = one.release(now_monotonic_ns=30 * S)
    assert released[0].row.taken_at_ms == (NOON_NS + 15 * S) // 1_000_000


def test_at_the_end_everything_goes_flagged() -> None:
    one = stamper(Clock(seen(0), trusted=False))
    one.take(polled(1))
    (reading,) = one.flush()
    assert reading.row.quality == ReadingFlag.CLOCK_UNSYNCHRONISED
