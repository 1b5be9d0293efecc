"""The delivery window: its promises, over random courses of sending, acknowledging and failing."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.uplink.window import DeliveryWindow, Item, WindowLimits
from metering.messages.data import MessageId

EPOCH = "00000000000000a1"
LIMITS = WindowLimits(messages=8, bytes=1000, backlog_messages_per_s=20, backlog_bytes_per_s=4000)


def item(seq: int, *, size: int = 50, backlog: bool = False) -> Item:
    return Item(MessageId(EPOCH, seq), size, backlog)


def window(limits: WindowLimits = LIMITS) -> DeliveryWindow:
    return DeliveryWindow(limits, random=lambda: 0.5)


def open_window(limits: WindowLimits = LIMITS) -> DeliveryWindow:
    """Return a window with a link and an ingest that is online."""
    one = window(limits)
    one.link_up(now_s=0)
    one.receiver("1", online=True)
    return one


def fill(one: DeliveryWindow, *, backlog: bool, now_s: float = 0.0) -> int:
    """Send small messages until no more may be sent; give how many."""
    count = 0
    first = 10_000 if backlog else 20_000
    while one.may_send(item(first + count, backlog=backlog), now_s=now_s):
        one.sent(item(first + count, backlog=backlog), now_s=now_s)
        count += 1
    return count


def test_backlog_leaves_a_quarter_for_live() -> None:
    one = open_window()
    assert fill(one, backlog=True) == 6
    assert fill(one, backlog=False) == 2
    assert fill(one, backlog=True) == 0
    assert len(one) == len(one.outstanding) == 8


def test_bytes_count_too() -> None:
    one = open_window()
    one.sent(item(1, size=700), now_s=0)
    assert not one.may_send(item(2, size=301), now_s=0)
    assert one.may_send(item(2, size=300), now_s=0)
    assert one.may_send(item(2, size=300, backlog=True), now_s=0)
    assert not one.may_send(item(2, size=301, backlog=True), now_s=0)


def test_backlog_leaves_a_quarter_of_the_bytes_for_live() -> None:
    one = open_window()
    one.sent(item(1, size=400, backlog=True), now_s=0)
    assert not one.may_send(item(2, size=351, backlog=True), now_s=0)
    assert one.may_send(item(2, size=350, backlog=True), now_s=0)
    assert one.may_send(item(2, size=600), now_s=0)


def test_a_message_larger_than_the_window_travels_alone() -> None:
    one = open_window()
    assert one.may_send(item(1, size=5000), now_s=0)
    one.sent(item(1, size=5000), now_s=0)
    assert not one.may_send(item(2), now_s=0)


def test_backlog_is_sent_at_its_rate() -> None:
    one = open_window(WindowLimits(backlog_messages_per_s=10, backlog_bytes_per_s=1e9))
    sent = 0
    for tick in range(100):
        now_s = tick / 10
        while one.may_send(item(sent + 1, backlog=True), now_s=now_s):
            sent += 1
            one.sent(item(sent, backlog=True), now_s=now_s)
            one.done(item(sent).id, now_s=now_s)
    assert 100 <= sent <= 10 * 10 + 10


def test_what_is_not_acknowledged_is_due_again_with_growing_pauses_up_to_a_minute() -> None:
    one = open_window()
    one.sent(item(1), now_s=0)
    at_s, instants = 0.0, []
    while at_s < 600:
        at_s += 0.1
        if one.due(now_s=at_s):
            instants.append(at_s)
    pauses = [round(later - earlier) for earlier, later in itertools.pairwise([0.0, *instants])]
    assert pauses == sorted(pauses)
    assert pauses[0] < 10
    assert 30 < pauses[-1] <= 60


def test_time_outs_follow_measured_acknowledgements() -> None:
    one = open_window()
    for seq in range(1, 30):
        one.sent(item(seq), now_s=10 * seq)
        one.done(item(seq).id, now_s=10 * seq + 4)
    assert one.round_trip_s == pytest.approx(4)
    one.sent(item(99), now_s=1000)
    # 4 s and a little variation, and half of the jitter of a quarter: below the 5 s before any measurement.
    assert not one.due(now_s=1004.49)
    assert one.due(now_s=1004.6)


def test_a_slow_receiver_is_given_its_time() -> None:
    one = open_window()
    for seq in range(1, 30):
        one.sent(item(seq), now_s=30 * seq)
        one.done(item(seq).id, now_s=30 * seq + 20)
    one.sent(item(99), now_s=1000)
    assert not one.due(now_s=1022)
    assert one.due(now_s=1023)


def test_a_round_trip_is_that_of_a_message_sent_once() -> None:
    one = open_window()
    one.sent(item(1), now_s=0)
    one.done(item(1).id, now_s=0.5)
    assert one.round_trip_s == 0.5
    one.sent(item(2), now_s=1)
    one.due(now_s=100)
    one.done(item(2).id, now_s=130)
    assert one.round_trip_s == float("inf"), "it may have been the first sending that was acknowledged"


def test_nothing_is_sent_without_a_link() -> None:
    one = window()
    assert not one.may_send(item(1), now_s=0)
    one.receiver("1", online=True)
    assert not one.may_send(item(1), now_s=0)
    assert not one.due(now_s=1000)


def test_without_a_receiver_one_probe_goes_now_and_then() -> None:
    one = window()
    one.link_up(now_s=0)
    assert not one.may_send(item(1), now_s=0)
    assert one.may_send(item(1), now_s=5)
    one.sent(item(1), now_s=5)
    assert not one.may_send(item(2), now_s=5)
    probes = [second for second in range(6, 606) if one.due(now_s=second)]
    assert 10 <= len(probes) <= 20
    assert max(later - earlier for earlier, later in itertools.pairwise(probes)) <= 61


def test_all_is_due_at_once_when_a_receiver_comes() -> None:
    one = open_window()
    for seq in range(1, 4):
        one.sent(item(seq), now_s=0)
    one.receiver("1", online=False)
    assert not one.due(now_s=0.5)
    one.receiver("2", online=True)
    assert [late.id.seq for late in one.due(now_s=1)] == [1, 2, 3]
    assert not one.due(now_s=1.1)


def test_a_receiver_that_repeats_itself_changes_nothing() -> None:
    one = open_window()
    one.sent(item(1), now_s=0)
    one.receiver("1", online=True)
    assert not one.due(now_s=1)


def test_a_lost_link_makes_everything_due_once_it_is_back_and_a_receiver_online() -> None:
    one = open_window()
    one.sent(item(1), now_s=0)
    one.link_down()
    assert not one.due(now_s=100)
    one.link_up(now_s=100)
    assert not one.due(now_s=100)
    one.receiver("1", online=True)
    assert one.due(now_s=100)


def test_no_matching_subscribers_stops_sending_until_there_is_a_subscriber() -> None:
    one = open_window()
    one.sent(item(1), now_s=0)
    one.no_subscriber(now_s=0)
    assert not one.may_send(item(2), now_s=1)
    assert one.due(now_s=5)
    one.subscriber_found()
    assert one.may_send(item(2), now_s=5)


def test_an_acknowledgement_proves_that_a_receiver_is_online() -> None:
    one = window()
    one.link_up(now_s=0)
    one.sent(item(1), now_s=5)
    assert one.done(item(1).id, now_s=5)
    assert one.has_receiver


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"messages": 0}, "no room"),
        ({"bytes": 0}, "no room"),
        ({"live_share": -0.01}, "no room"),
        ({"live_share": 1.0}, "no room"),
        ({"min_timeout_s": 0.0}, "not in order"),
        ({"min_timeout_s": 5.1}, "not in order"),
        ({"first_timeout_s": 60.1}, "not in order"),
        ({"max_timeout_s": 4.9}, "not in order"),
    ],
)
def test_limits_that_leave_no_room_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        WindowLimits(**changes)


def test_limits_at_their_edges_are_taken() -> None:
    WindowLimits(messages=1, bytes=1, live_share=0.0)
    WindowLimits(min_timeout_s=0.5, first_timeout_s=0.5, max_timeout_s=0.5)


def test_a_new_window_has_sent_nothing_and_knows_no_round_trip() -> None:
    one = window()
    assert one.round_trip_s == float("inf")
    assert (len(one), one.has_receiver, item(1).id in one) == (0, False, False)
    one.link_up(now_s=0)
    one.sent(item(1), now_s=2)
    assert (len(one), item(1).id in one, item(2).id in one) == (1, True, False)


def test_what_is_outstanding_is_not_sent_for_the_first_time_again() -> None:
    one = open_window()
    one.sent(item(1), now_s=0)
    assert not one.may_send(item(1), now_s=0)
    with pytest.raises(ValueError, match="outstanding already"):
        one.sent(item(1), now_s=0)


def test_what_is_not_outstanding_is_neither_done_nor_given_up() -> None:
    one = open_window()
    assert not one.done(item(1).id, now_s=0)
    one.forget(item(1).id)
    one.sent(item(1), now_s=0)
    assert one.done(item(1).id, now_s=1)
    assert not one.done(item(1).id, now_s=2)
    assert one.round_trip_s == 1


def test_what_was_given_up_leaves_its_room() -> None:
    one = open_window()
    one.sent(item(1, size=700, backlog=True), now_s=0)
    assert not one.may_send(item(2, size=700, backlog=True), now_s=0)
    one.forget(item(1).id)
    assert one.may_send(item(2, size=700, backlog=True), now_s=0)


def instants_of_probes(one: DeliveryWindow, *, from_s: float, until_s: float) -> list[float]:
    """Return when something is sent again, to a sixteenth of a second."""
    ticks = range(int(from_s * 16) + 1, int(until_s * 16) + 1)
    return [tick / 16 for tick in ticks if one.due(now_s=tick / 16)]


def test_probes_come_after_two_seconds_and_then_at_growing_pauses() -> None:
    one = window()
    one.link_up(now_s=0)
    assert not one.may_send(item(1), now_s=1.99)
    assert one.may_send(item(1), now_s=2)
    one.sent(item(1), now_s=2)
    # 2, 4, 8, ... s up to 48 s, each and half of the jitter of a quarter.
    pauses = [2.25, 4.5, 9, 18, 36, 54, 54]
    expected = [2 + sum(pauses[: count + 1]) for count in range(len(pauses))]
    assert instants_of_probes(one, from_s=2, until_s=200) == expected


def test_a_probe_is_one_message_the_oldest() -> None:
    one = open_window()
    for seq in (1, 2, 3):
        one.sent(item(seq), now_s=0)
    one.receiver("1", online=False)
    assert not one.has_receiver
    assert [late.id.seq for late in one.due(now_s=10)] == [1]
    assert one.due(now_s=10) == ()


def test_sending_to_somebody_is_no_probe() -> None:
    one = open_window()
    one.sent(item(1), now_s=100)
    one.receiver("1", online=False)
    assert one.due(now_s=100.1), "the first probe need not wait"


def test_each_receiver_counts_until_the_last_is_gone() -> None:
    one = open_window()
    one.receiver("2", online=True)
    one.receiver("1", online=False)
    assert one.has_receiver
    one.receiver("2", online=False)
    assert not one.has_receiver


def test_who_acknowledges_without_a_name_is_gone_when_any_receiver_goes() -> None:
    one = window()
    one.link_up(now_s=0)
    one.sent(item(1), now_s=5)
    one.done(item(1).id, now_s=5)
    assert one.has_receiver
    one.receiver("1", online=False)
    assert not one.has_receiver


def test_no_matching_subscribers_starts_the_pauses_anew() -> None:
    one = open_window()
    one.sent(item(1), now_s=0)
    one.no_subscriber(now_s=10)
    assert not one.has_receiver
    assert instants_of_probes(one, from_s=10, until_s=30) == [12, 14.25, 18.75, 27.75]
    one.no_subscriber(now_s=28)
    assert instants_of_probes(one, from_s=28, until_s=60) == [45.75], "said again, it changes nothing"
    one.subscriber_found()
    one.no_subscriber(now_s=60)
    assert instants_of_probes(one, from_s=60, until_s=66) == [62, 64.25]


def test_a_lost_link_ends_what_no_matching_subscribers_said() -> None:
    one = window()
    one.link_up(now_s=0)
    one.sent(item(1), now_s=2)
    one.no_subscriber(now_s=2)
    assert instants_of_probes(one, from_s=2, until_s=9) == [4, 6.25]
    one.link_down()
    one.link_up(now_s=10)
    assert instants_of_probes(one, from_s=10, until_s=30) == [12, 14.25, 18.75, 27.75]
    one.no_subscriber(now_s=30)
    assert instants_of_probes(one, from_s=30, until_s=35) == [32, 34.25]


def test_a_message_is_due_at_its_instant() -> None:
    one = open_window()
    one.sent(item(1), now_s=0)
    assert not one.due(now_s=5.6249)
    assert one.due(now_s=5.625)
    assert not one.due(now_s=5.625 + 11.2499)
    assert one.due(now_s=5.625 + 11.25)


def test_probes_and_sendings_for_who_came_do_not_lengthen_the_time_outs() -> None:
    one = window()
    one.link_up(now_s=0)
    one.sent(item(1), now_s=2)
    assert len(instants_of_probes(one, from_s=2, until_s=100)) == 5
    one.receiver("1", online=True)
    assert one.due(now_s=100)
    assert not one.due(now_s=105.5)
    assert one.due(now_s=105.625)


@dataclass
class Course:
    """A random course against a receiver that hears some messages and acknowledges some of those."""

    one: DeliveryWindow
    now_s: float = 0.0
    next_seq: int = 1
    waiting: list[Item] = field(default_factory=list)
    done: set[MessageId] = field(default_factory=set)

    def check(self) -> None:
        """The bounds, whatever happened."""
        out = self.one.outstanding
        behind = [one for one in out if one.backlog]
        assert len(out) <= LIMITS.messages
        assert sum(one.size for one in out) <= LIMITS.bytes or len(out) == 1
        assert len(behind) <= LIMITS.messages * 3 // 4
        assert sum(one.size for one in behind) <= LIMITS.bytes * 3 // 4 or len(behind) == 1
        assert not {one.id for one in out} & self.done

    def act(self, kind: str, number: float, *, flag: bool) -> None:
        """Let one thing happen."""
        match kind:
            case "send":
                self.waiting.append(Item(MessageId(EPOCH, self.next_seq), int(number), flag))
                self.next_seq += 1
            case "pass":
                self.now_s += number
            case "acknowledge":
                for one in self.one.outstanding[int(number) :][:1]:
                    self.acknowledge(one.id)
            case "online":
                self.one.receiver(str(int(number)), online=flag)
            case _:
                self.fail(kind)

    def fail(self, kind: str) -> None:
        """Let something go wrong, or come back."""
        match kind:
            case "link up":
                self.one.link_up(now_s=self.now_s)
            case "link down":
                self.one.link_down()
            case "unheard":
                self.one.no_subscriber(now_s=self.now_s)

    def push(self) -> list[Item]:
        """Send what may be sent, first or again; give it all."""
        again = list(self.one.due(now_s=self.now_s))
        assert not {one.id for one in again} & self.done, "what is done is never sent again"
        for candidate in list(self.waiting):
            if self.one.may_send(candidate, now_s=self.now_s):
                self.one.sent(candidate, now_s=self.now_s)
                self.waiting.remove(candidate)
                again.append(candidate)
        self.check()
        return again

    def acknowledge(self, message: MessageId) -> None:
        """Say that a message is safe."""
        assert self.one.done(message, now_s=self.now_s) == (message not in self.done)
        self.done.add(message)


STEPS = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 600), st.booleans()),
    st.tuples(st.just("pass"), st.floats(0.1, 80), st.booleans()),
    st.tuples(st.just("acknowledge"), st.integers(0, 7), st.booleans()),
    st.tuples(st.just("online"), st.integers(1, 2), st.booleans()),
    st.tuples(st.sampled_from(["link up", "link down", "unheard"]), st.just(0), st.booleans()),
)


@given(st.lists(STEPS, max_size=60))
def test_bounds_hold_and_everything_is_delivered_in_the_end(steps: list[tuple[str, float, bool]]) -> None:
    course = Course(window())
    for kind, number, flag in steps:
        course.act(kind, number, flag=flag)
        course.push()
    course.one.link_up(now_s=course.now_s)
    for _ in range(1000):
        if len(course.done) == course.next_seq - 1:
            return
        course.now_s += 61
        for one in course.push():
            course.one.subscriber_found()
            course.acknowledge(one.id)
    raise AssertionError("a message was never sent")
