"""Time-outs after RFC 6298, computed here by hand, and the token bucket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.uplink.pace import AckTimeout, Rate
from metering.program.backoff import JITTER


def timeout(first_s: float = 5.0, min_s: float = 2.0, max_s: float = 60.0) -> AckTimeout:
    return AckTimeout(first_s=first_s, min_s=min_s, max_s=max_s)


def test_before_anything_was_measured_the_first_time_out_holds() -> None:
    assert timeout().seconds(0.0) == 5.0
    assert timeout(first_s=3.0).seconds(0.0) == 3.0


def test_the_first_measurement_counts_three_times() -> None:
    """RFC 6298, 2.2: SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 x RTTVAR = 3 R."""
    one = timeout()
    one.measured(4.0)
    assert one.seconds(0.0) == 12.0


def test_later_measurements_are_smoothed() -> None:
    """RFC 6298, 2.3: RTTVAR = 3/4 RTTVAR + 1/4 |SRTT - R|, with the old SRTT; SRTT = 7/8 SRTT + 1/8 R."""
    one = timeout()
    one.measured(4.0)
    one.measured(8.0)
    # RTTVAR = 0.75 x 2 + 0.25 x 4 = 2.5, SRTT = 3.5 + 1 = 4.5
    assert one.seconds(0.0) == pytest.approx(4.5 + 4 * 2.5)
    one.measured(2.5)
    # RTTVAR = 0.75 x 2.5 + 0.25 x 2 = 2.375, SRTT = 4.5 x 7/8 + 2.5 / 8 = 4.25
    assert one.seconds(0.0) == pytest.approx(4.25 + 4 * 2.375)


def test_steady_times_bring_the_time_out_close_to_them() -> None:
    one = timeout()
    for _ in range(100):
        one.measured(4.0)
    assert one.seconds(0.0) == pytest.approx(4.0)


def test_however_fast_acknowledgements_are_the_least_holds() -> None:
    one = timeout()
    for _ in range(50):
        one.measured(0.01)
    assert one.seconds(0.0) == 2.0


def test_the_first_time_out_may_be_below_what_is_measured_and_is_not_used_again() -> None:
    one = timeout(first_s=50.0)
    one.measured(1.0)
    assert one.seconds(0.0) == 3.0


def test_jitter_adds_up_to_a_quarter() -> None:
    assert JITTER == 0.25
    assert timeout().seconds(0.5) == pytest.approx(5.0 * 1.125)
    assert timeout().seconds(1.0) == pytest.approx(6.25)


def test_an_expiry_doubles_and_a_measurement_ends_that() -> None:
    one = timeout()
    one.expired(sent_at_s=0.0, now_s=5.0)
    assert one.seconds(0.0) == 10.0
    one.expired(sent_at_s=5.0, now_s=15.0)
    assert one.seconds(0.0) == 20.0
    one.measured(1.0)
    assert one.seconds(0.0) == 3.0


def test_messages_of_one_flight_double_once() -> None:
    one = timeout()
    for sent_at_s in (0.0, 1.0, 4.9):
        one.expired(sent_at_s=sent_at_s, now_s=5.0)
    assert one.seconds(0.0) == 10.0
    one.expired(sent_at_s=5.0, now_s=10.0)
    assert one.seconds(0.0) == 20.0, "sent at the instant of the doubling: the next flight"


def test_the_most_holds_with_jitter_included_and_is_left_at_once() -> None:
    one = timeout()
    for at_s in range(0, 1000, 10):
        one.expired(sent_at_s=float(at_s), now_s=float(at_s))
    assert one.seconds(0.0) == 48.0
    assert one.seconds(1.0) == pytest.approx(60.0)
    one.measured(0.5)
    assert one.seconds(0.0) == 2.0


def test_the_doubling_stops_where_the_least_reaches_the_most() -> None:
    one = timeout(first_s=0.001, min_s=0.001, max_s=0.008)
    for at_s in range(100):
        one.expired(sent_at_s=float(at_s), now_s=float(at_s))
    assert one.seconds(0.0) == pytest.approx(0.008 / 1.25)


@given(
    st.lists(st.tuples(st.sampled_from(["measured", "expired"]), st.floats(0, 100)), max_size=40),
    st.floats(0, 1, exclude_max=True),
)
def test_whatever_happens_it_stays_within_its_bounds(steps: list[tuple[str, float]], jitter: float) -> None:
    one, now_s = timeout(), 0.0
    for kind, seconds in steps:
        if kind == "measured":
            one.measured(seconds)
        else:
            one.expired(sent_at_s=now_s, now_s=now_s + seconds)
        now_s += seconds
        assert 2.0 <= one.seconds(jitter) <= 60.0


def test_a_second_s_worth_may_go_at_once_then_the_rate() -> None:
    rate = Rate(10.0)
    taken = 0
    while rate.allows(0.0):
        rate.take(1)
        taken += 1
    assert taken == 10
    assert not rate.allows(0.0)
    assert rate.allows(0.1)
    rate.take(1)
    assert not rate.allows(0.1)


def test_what_is_not_used_is_kept_for_one_second_only() -> None:
    rate = Rate(10.0)
    assert rate.allows(0.0)
    rate.take(10)
    assert rate.allows(1000.0)
    rate.take(9.5)
    assert rate.allows(1000.0)
    rate.take(1)
    assert not rate.allows(1000.0)


def test_the_last_thing_taken_may_overdraw_and_is_paid_back() -> None:
    rate = Rate(10.0)
    assert rate.allows(5.0)
    rate.take(30)
    assert not rate.allows(7.0), "two seconds bring just what is missing"
    assert rate.allows(7.01)


def test_a_clock_that_does_not_move_fills_nothing() -> None:
    rate = Rate(10.0)
    assert rate.allows(5.0)
    rate.take(10)
    assert not rate.allows(4.0)
    assert not rate.allows(5.0)
    assert rate.allows(5.1)


def test_a_slow_rate_lets_its_first_message_go() -> None:
    rate = Rate(0.5)
    assert rate.allows(0.0)
    rate.take(1)
    assert not rate.allows(1.0)
    assert rate.allows(1.5)
