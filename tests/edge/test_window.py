"""The delivery window: its promises, over random courses of sending, acknowledging and failing."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.window import DeliveryWindow, Item, WindowLimits
from metering.message import MessageId

EPOCH = "00000000000000a1"
LIMITS = WindowLimits(messages=8, bytes=1000, backlog_messages_per_s=20, backlog_bytes_per_s=4000)


def item(seq: int, *, size: int = 50, backlog: bool = False) -> Item:
    return Item(MessageId(EPOCH, seq), size, backlog)


def window(limits: WindowLimits = LIMITS) -> DeliveryWindow:
    return DeliveryWindow(limits, random=lambda: 0.5)


def open_window(limits: WindowLimits = LIMITS) -> DeliveryWindow:
    """Give a window with a link and somebody who listens."""
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
    assert not one.due(now_s=1004)
    assert one.due(now_s=1010)


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


def test_a_lost_link_makes_everything_due_once_it_is_back_and_heard() -> None:
    one = open_window()
    one.sent(item(1), now_s=0)
    one.link_down()
    assert not one.due(now_s=100)
    one.link_up(now_s=100)
    assert not one.due(now_s=100)
    one.receiver("1", online=True)
    assert one.due(now_s=100)


def test_no_matching_subscribers_stops_sending_until_somebody_hears() -> None:
    one = open_window()
    one.sent(item(1), now_s=0)
    one.unheard(now_s=0)
    assert not one.may_send(item(2), now_s=1)
    assert one.due(now_s=5)
    one.heard()
    assert one.may_send(item(2), now_s=5)


def test_an_acknowledgement_proves_that_somebody_listens() -> None:
    one = window()
    one.link_up(now_s=0)
    one.sent(item(1), now_s=5)
    assert one.done(item(1).id, now_s=5)
    assert one.is_heard


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
                self.one.unheard(now_s=self.now_s)

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
            course.one.heard()
            course.acknowledge(one.id)
    raise AssertionError("a message was never sent")
