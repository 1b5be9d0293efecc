"""Received = written + quarantined + pending, whatever happens."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.receive.accounts import Account, Accounts
from ingest.receive.acks import Outcome, PendingAcks
from ingest.receive.deliveries import Deliveries
from metering.messages.ack import covers
from metering.messages.data import MessageId

EPOCH = "00000000000000aa"


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 1), st.booleans()), max_size=50))
def test_the_account_balances_after_every_step(messages: list[tuple[int, float, bool]]) -> None:
    account = Account()
    for rows, share, settles in messages:
        account.receive(rows)
        assert account.balance == 0
        if settles:
            written = round(rows * share)
            account.settle(written=written, quarantined=Counter({"foreign_meter": rows - written}))
        assert account.balance == 0
    assert account.pending == sum(rows for rows, _, settles in messages if not settles)


def test_more_than_pending_cannot_be_settled() -> None:
    account = Account()
    account.receive(3)
    with pytest.raises(ValueError, match="4 rows settled, 3 pending"):
        account.settle(written=2, quarantined=Counter(x=2))


def test_a_snapshot_is_not_the_book() -> None:
    accounts = Accounts()
    before = accounts.snapshot()
    accounts.of("gw-1").receive(1)
    assert (before, list(accounts.snapshot())) == ({}, ["gw-1"])


@given(
    st.lists(st.tuples(st.sampled_from(["gw-1", "gw-2"]), st.integers(1, 40), st.integers(0, 9)), max_size=40)
)
def test_each_outcome_is_told_once_and_to_its_gateway(outcomes: list[tuple[str, int, int]]) -> None:
    book = PendingAcks()
    for gateway, seq, bad in outcomes:
        book.add(gateway, Outcome(MessageId(EPOCH, seq), 10 - bad, ((bad, "bad_row"),) if bad else ()))
    told = dict(book.take(7))
    assert not book
    last = {(gateway, seq): bad for gateway, seq, bad in outcomes}
    for gateway in ("gw-1", "gw-2"):
        own = {seq: bad for (name, seq), bad in last.items() if name == gateway}
        acks = told[gateway].acks if gateway in told else ()
        for seq in range(1, 42):
            assert any(covers(ack, MessageId(EPOCH, seq)) for ack in acks) == (seq in own)
        assert sum(ack.rows_stored for ack in acks) == sum(10 - bad for bad in own.values())
        assert {q.seq: q.rows for ack in acks for q in ack.quarantined} == {s: b for s, b in own.items() if b}


def test_a_delivery_is_pending_then_recent_then_forgotten() -> None:
    deliveries = Deliveries(max_recent=2)
    ids = [MessageId(EPOCH, seq) for seq in (1, 2, 3)]
    assert deliveries.begin("gw-1", ids[0])
    assert not deliveries.begin("gw-1", ids[0])
    assert deliveries.begin("gw-2", ids[0]), "another gateway's is another message"
    for one in ids:
        deliveries.end("gw-1", Outcome(one, 1), b"body")
    assert deliveries.maybe_outcome("gw-1", ids[2], b"body") == Outcome(ids[2], 1)
    assert deliveries.maybe_outcome("gw-1", ids[2], b"other body") is None
    assert deliveries.maybe_outcome("gw-1", ids[0], b"body") is None
    assert deliveries.begin("gw-1", ids[0])
    deliveries.cancel("gw-1", ids[0])
    assert deliveries.begin("gw-1", ids[0])
