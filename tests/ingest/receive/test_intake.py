"""The bounded queue: a PUBACK exactly when a message enters it."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from ingest.receive.intake import Intake
from ingest.receive.subscriber import Arrival
from metering.messages.topics import GatewayTopic

TOPIC = GatewayTopic("demo", "gw-1", "data")


def arrival(number: int, size: int = 0) -> Arrival:
    return Arrival(TOPIC, 1, (), b"x" * size, retained=False, mid=number)


def intake(pubacked: list[int], *, most: int = 3000, outside: int = 3000) -> Intake:
    return Intake(lambda one: pubacked.append(one.mid), max_bytes=most, max_outside_bytes=outside)


def test_a_full_queue_withholds_and_room_lets_in_in_order() -> None:
    pubacked: list[int] = []
    queue = intake(pubacked)
    for number in range(1, 6):
        assert queue.offer(arrival(number))
    assert (pubacked, queue.withheld) == ([1, 2, 3], 2)
    assert [one.mid for one in queue.take(2000, 100)] == [1, 2]
    assert (pubacked, queue.withheld) == ([1, 2, 3, 4, 5], 0)
    assert [one.mid for one in queue.take(10**6, 100)] == [3, 4, 5]


def test_a_message_larger_than_a_batch_is_a_batch() -> None:
    queue = intake([])
    queue.offer(arrival(1, 9000))
    assert [one.mid for one in queue.take(10, 100)] == [1]


def test_a_batch_has_a_bounded_number_of_messages() -> None:
    queue = intake([])
    for number in (1, 2, 3):
        queue.offer(arrival(number))
    assert [one.mid for one in queue.take(10**6, 2)] == [1, 2]


def test_while_held_nothing_enters() -> None:
    pubacked: list[int] = []
    queue = intake(pubacked)
    queue.offer(arrival(1))
    queue.hold()
    queue.offer(arrival(2))
    assert [one.mid for one in queue.take(10**6, 100)] == [1]
    assert pubacked == [1]
    queue.release()
    assert pubacked == [1, 2]


def test_beyond_all_bounds_only_the_packet_id_is_kept_and_told_when_there_is_room() -> None:
    pubacked: list[int] = []
    queue = intake(pubacked, most=1000, outside=1000)
    assert [queue.offer(arrival(number)) for number in (1, 2, 3)] == [True, True, False]
    assert queue.discarded == 1
    taken = [one.mid for _ in range(3) for one in queue.take(10**6, 100)]
    assert (taken, pubacked) == ([1, 2], [1, 2, 3])


def test_after_close_what_is_queued_can_be_taken_and_nothing_enters() -> None:
    pubacked: list[int] = []
    queue = intake(pubacked)
    queue.offer(arrival(1))
    queue.close()
    assert not queue.offer(arrival(2))
    assert not queue.is_finished
    assert [one.mid for one in queue.take(10**6, 100)] == [1]
    assert queue.is_finished
    assert pubacked == [1]


ACTIONS = st.lists(
    st.integers(0, 4000).map(lambda size: ("offer", size))
    | st.sampled_from([("take", 3000), ("hold", 0), ("release", 0)]),
    max_size=60,
)


@given(ACTIONS)
def test_whatever_happens_memory_is_bounded_and_order_kept(actions: list[tuple[str, int]]) -> None:
    pubacked: list[int] = []
    queue = intake(pubacked, most=8000, outside=8000)
    expected: deque[int] = deque()
    taken: list[int] = []
    for number, (action, size) in enumerate(actions, 1):
        if action == "offer":
            if queue.offer(arrival(number, size)):
                expected.append(number)
        elif action == "take":
            taken += [one.mid for one in queue.take(size, 100)]
        else:
            (queue.hold if action == "hold" else queue.release)()
        assert queue.queued_bytes <= 8000 + 5000
        assert queue.outside_bytes <= 8000 + 5000
        assert len(pubacked) == len(set(pubacked))
        assert set(taken) <= set(pubacked)
    queue.release()
    while some := queue.take(3000, 100):
        taken += [one.mid for one in some]
    assert taken == list(expected)
    assert sorted(pubacked) == [n for n, (action, _) in enumerate(actions, 1) if action == "offer"]
