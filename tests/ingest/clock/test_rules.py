"""When ingest believes its own clock; each test moves both clocks itself."""

import pytest

from ingest.clock.rules import MAX_OFF_MS, VOTE_MS, ClockGuard, Seen, latest_time_ms

MINUTE = 60_000
HOUR = 60 * MINUTE
NOON_MS = 1_790_078_400_000


def seen(after_ms: int, *, ahead_ms: int = 0, is_synchronised: bool = False) -> Seen:
    """Return the clocks some time after noon; `ahead_ms` = by how much the wall clock is wrong."""
    return Seen(5000 + after_ms, NOON_MS + after_ms + ahead_ms, is_synchronised)


def vote(guard: ClockGuard, gateways: int, at: Seen, *, off_ms: int = 0, clock: str = "system") -> None:
    """Take the real time from statuses of gateways (`off_ms`: a wrong one), as our monotonic clock shows it."""
    for number in range(gateways):
        time_ms = NOON_MS + at.monotonic_ms - 5000 + off_ms
        guard.take_vote("demo", f"{clock}-{off_ms}-{number}", clock=clock, time_ms=time_ms, seen=at)


def doubt(guard: ClockGuard, at: Seen) -> str:
    """Look at the clocks and return the doubt, empty = none."""
    guard.observe(at)
    return guard.maybe_doubt or ""


def test_a_clock_that_runs_is_believed() -> None:
    guard = ClockGuard(seen(0))
    assert [doubt(guard, seen(hours * HOUR)) for hours in range(100)] == [""] * 100


@pytest.mark.parametrize(("back_ms", "is_doubted"), [(MAX_OFF_MS, False), (MAX_OFF_MS + 1, True)])
def test_a_clock_set_back_is_doubted_until_it_is_set_forward(*, back_ms: int, is_doubted: bool) -> None:
    guard = ClockGuard(seen(0))
    assert bool(doubt(guard, seen(1000, ahead_ms=-back_ms))) is is_doubted
    # Waiting does not make it right.
    assert bool(doubt(guard, seen(30 * HOUR, ahead_ms=-back_ms))) is is_doubted
    assert doubt(guard, seen(30 * HOUR + 1000)) == ""


def test_small_steps_back_add_up() -> None:
    guard = ClockGuard(seen(0))
    assert doubt(guard, seen(1000, ahead_ms=-3 * MINUTE)) == ""
    assert "6 min behind" in doubt(guard, seen(2000, ahead_ms=-6 * MINUTE))


def test_a_clock_may_be_set_forward() -> None:
    guard = ClockGuard(seen(0, ahead_ms=-HOUR))
    assert doubt(guard, seen(1000)) == ""
    assert doubt(guard, seen(2000, ahead_ms=-HOUR)) != ""


def test_a_start_before_the_newest_receipt_is_doubted_until_the_clock_is_set() -> None:
    guard = ClockGuard(seen(0, ahead_ms=-3 * HOUR), newest_receipt_ms=NOON_MS)
    assert "3 h behind" in doubt(guard, seen(0, ahead_ms=-3 * HOUR))
    # At 15:00 the clock shows 12:00, which no longer lies before the receipt, and is as wrong as before.
    assert doubt(guard, seen(3 * HOUR, ahead_ms=-3 * HOUR)) != ""
    assert doubt(guard, seen(3 * HOUR)) == ""
    assert ClockGuard(seen(0, ahead_ms=-MAX_OFF_MS), newest_receipt_ms=NOON_MS).maybe_doubt is None


def test_a_person_may_say_that_the_clock_is_right() -> None:
    guard = ClockGuard(
        seen(0, ahead_ms=-HOUR), newest_receipt_ms=NOON_MS, needs_kernel=True, is_believed=True
    )
    assert doubt(guard, seen(1000, ahead_ms=-HOUR)) == ""
    assert doubt(guard, seen(2000, ahead_ms=-2 * HOUR)) != ""


def test_where_the_kernel_must_keep_the_clock_it_is_waited_for_once() -> None:
    guard = ClockGuard(seen(0), needs_kernel=True)
    assert "no NTP keeps" in doubt(guard, seen(HOUR))
    assert doubt(guard, seen(HOUR + 1000, is_synchronised=True)) == ""
    assert doubt(guard, seen(HOUR + 2000)) == ""


def test_the_kernel_may_set_the_clock_back() -> None:
    guard = ClockGuard(seen(0, ahead_ms=24 * HOUR))
    assert doubt(guard, seen(1000)) != ""
    assert doubt(guard, seen(2000, is_synchronised=True)) == ""
    assert doubt(guard, seen(3000)) == ""


@pytest.mark.parametrize("ahead_ms", [-HOUR, HOUR])
@pytest.mark.parametrize(
    ("right", "others", "is_doubted"),
    [(3, 0, True), (2, 0, False), (2, 1, True), (2, 2, False), (3, 2, True)],
)
def test_over_half_of_three_gateways_that_ntp_keeps_doubt_the_clock(
    *, ahead_ms: int, right: int, others: int, is_doubted: bool
) -> None:
    wrong = seen(0, ahead_ms=ahead_ms)
    guard = ClockGuard(wrong)
    vote(guard, right, wrong)
    vote(guard, others, wrong, off_ms=ahead_ms)
    assert bool(doubt(guard, wrong)) is is_doubted


@pytest.mark.parametrize("clock", ["ingest", "trusted", "none", ""])
def test_gateways_without_a_synchronised_clock_of_their_own_have_no_vote(clock: str) -> None:
    wrong = seen(0, ahead_ms=-HOUR)
    guard = ClockGuard(wrong)
    vote(guard, 10, wrong, clock=clock)
    assert doubt(guard, wrong) == ""


def test_a_vote_lasts_ten_minutes_and_follows_our_own_steps() -> None:
    guard = ClockGuard(seen(0, ahead_ms=-HOUR))
    vote(guard, 3, seen(0, ahead_ms=-HOUR))
    text = doubt(guard, seen(1000, ahead_ms=-HOUR))
    assert "60 min behind that of the gateways (3 of 3" in text
    # Set right, no new status: those of before agree now.
    assert doubt(guard, seen(2000)) == ""
    assert doubt(guard, seen(3000, ahead_ms=-HOUR)) != ""
    # When no status came for ten minutes, the clock's own step back is left.
    assert "behind what it was" in doubt(guard, seen(VOTE_MS + 1, ahead_ms=-HOUR))


def test_a_gateway_that_agrees_ends_a_doubt_and_one_that_does_not_does_not() -> None:
    guard = ClockGuard(seen(0, ahead_ms=HOUR))
    assert doubt(guard, seen(1000)) != ""
    vote(guard, 1, seen(1000), off_ms=HOUR)
    assert doubt(guard, seen(2000)) != ""
    vote(guard, 2, seen(2000))
    assert doubt(guard, seen(3000)) == ""
    assert doubt(guard, seen(20 * HOUR)) == ""


def test_a_large_step_is_noticed_between_two_looks() -> None:
    guard = ClockGuard(seen(0))
    assert not guard.has_jumped(seen(500))
    assert guard.has_jumped(seen(500, ahead_ms=-HOUR))


def test_a_receipt_far_ahead_is_no_time_that_anybody_had() -> None:
    assert latest_time_ms(None, NOON_MS) == NOON_MS
    assert latest_time_ms(NOON_MS - HOUR, NOON_MS) == NOON_MS - HOUR
    assert latest_time_ms(NOON_MS + 24 * HOUR, NOON_MS) == NOON_MS + 24 * HOUR
    assert latest_time_ms(NOON_MS + 24 * HOUR + 1, NOON_MS) == NOON_MS
