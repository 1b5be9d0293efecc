"""Acknowledged messages that are still on the disk: when they are deleted, and what is removed."""

from edge.outbox.pending_deletions import PendingDeletions
from metering.messages.data import MessageId

EPOCH = "00000000000000a1"


def message(seq: int) -> MessageId:
    return MessageId(EPOCH, seq)


def pending(count: int, *, now_s: float = 0.0) -> PendingDeletions:
    one = PendingDeletions(now_s=now_s)
    for seq in range(1, count + 1):
        one.add(message(seq))
    return one


def test_nothing_is_never_due() -> None:
    one = pending(0)
    one.add_epoch(EPOCH)
    assert not one
    assert not one.is_due(now_s=1000), "an epoch's record is no reason to write"
    assert one.epochs == (EPOCH,)


def test_a_few_are_due_five_seconds_after_the_last_time() -> None:
    one = pending(1, now_s=100)
    assert one
    assert not one.is_due(now_s=104.9)
    assert one.is_due(now_s=105)
    one.deleted([message(1)], (), now_s=106)
    one.add(message(2))
    assert not one.is_due(now_s=110.9)
    assert one.is_due(now_s=111)


def test_a_thousand_are_due_at_once() -> None:
    assert not pending(999).is_due(now_s=0)
    assert pending(1000).is_due(now_s=0)


def test_twenty_thousand_stop_what_is_sent_from_the_disk() -> None:
    one = pending(19_999)
    assert not one.are_too_many
    one.add(message(20_000))
    assert one.are_too_many


def test_only_what_was_deleted_is_forgotten() -> None:
    one = pending(3)
    one.add_epoch("a" * 16)
    one.add_epoch("b" * 16)
    one.deleted([message(1), message(9)], ("a" * 16,), now_s=1)
    assert list(one.messages) == [message(2), message(3)]
    assert one.epochs == ("b" * 16,)
    assert one.remove(message(2))
    assert not one.remove(message(2))
    assert list(one.messages) == [message(3)]
    one.clear()
    assert (list(one.messages), one.epochs, bool(one)) == ([], (), False)
