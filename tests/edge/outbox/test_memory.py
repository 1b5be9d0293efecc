"""The outbox's memory: what is there, in which order, and how much."""

import pytest

from edge.outbox.memory import OutboxMemory
from tests.edge.outbox.outboxes import entry


def memory(*seqs: int) -> OutboxMemory:
    """Return a memory with these messages, come in seconds of their number."""
    one = OutboxMemory()
    for seq in seqs:
        one.add(entry(seq, rows=seq, size=40 + seq), now_s=float(seq))
    return one


def test_an_empty_one_has_nothing_and_expects_the_first() -> None:
    one = OutboxMemory()
    assert (len(one), one.bytes, one.rows, one.last_seq, one.first_seq) == (0, 0, 0, 0, 1)
    assert one.oldest_at_s == float("inf")
    assert one.maybe_unsent() is None
    assert one.maybe_get(1) is None
    assert one.release(1) is None
    with pytest.raises(KeyError):
        one.release_oldest()


def test_sizes_follow_what_comes_and_goes() -> None:
    one = memory(1, 2, 5)
    assert (len(one), one.bytes, one.rows) == (3, 41 + 42 + 45, 8)
    assert (one.first_seq, one.last_seq, one.oldest_at_s) == (1, 5, 1.0)
    released = one.release(2)
    assert released is not None
    assert (released.entry, released.at_s, released.on_disk) == (entry(2, rows=2, size=42), 2.0, False)
    assert (len(one), one.bytes, one.rows) == (2, 41 + 45, 6)
    assert one.release_oldest().entry.id.seq == 1
    assert (one.first_seq, one.oldest_at_s, one.bytes, one.rows) == (5, 5.0, 45, 5)
    one.release(5)
    assert (one.first_seq, one.last_seq, one.bytes, one.rows) == (6, 5, 0, 0)


def test_each_is_handed_out_once_oldest_first() -> None:
    one = memory(1, 2, 3, 4)
    one.hand_out(3)
    assert one.maybe_unsent() == entry(1, rows=1, size=41), "only the oldest unsent can be handed out"
    one.hand_out(1)
    one.release(2)
    assert one.maybe_unsent() == entry(3, rows=3, size=43), "what has gone meanwhile is passed over"
    one.hand_out(3)
    one.hand_out(4)
    one.hand_out(4)
    assert one.maybe_unsent() is None
    assert len(one) == 3, "they stay until they are done"


def test_what_is_due_ends_at_the_first_that_is_not() -> None:
    one = memory(1, 2, 3, 4)
    assert [held.entry.id.seq for held in one.oldest_while(lambda held: held.at_s in {1.0, 2.0, 4.0})] == [
        1,
        2,
    ]
    assert one.oldest_while(lambda _held: False) == ()


def test_what_the_disk_has_is_known_until_it_is_lost() -> None:
    one = memory(1, 2, 3)
    held = one.maybe_get(2)
    assert held is not None
    held.on_disk = True
    assert [fresh.id.seq for fresh in one.only_here()] == [1, 3]
    one.lose_disk()
    assert [fresh.id.seq for fresh in one.only_here()] == [1, 2, 3]
    assert held.on_disk is False
