"""Acknowledgement, birth, status and topics: round trips, and what is refused."""

import contextlib
import itertools
import json
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import MalformedMessage
from metering.messages import ack, birth, status, topics
from metering.messages import data as message
from metering.messages.data import MessageId
from metering.quantities import Medium

EPOCH = "0123456789abcdef"


def test_an_acknowledgement_survives_the_wire() -> None:
    sent = ack.Ack(
        time_ms=1_790_000_000_000,
        acks=(ack.EpochAck(EPOCH, ((1, 3), (7, 7)), 40, (ack.Quarantined(2, 3, "foreign_meter"),)),),
    )

    assert ack.decode(ack.encode(sent)) == sent


@pytest.mark.parametrize("decode", [ack.decode, birth.decode, status.decode])
def test_a_number_without_end_is_no_time(decode: Callable[[bytes], object]) -> None:
    body = b'{"schema":1,"gateway":"gw-1","epoch":"%b","time_ms":1e999}' % EPOCH.encode()

    with pytest.raises(MalformedMessage):
        decode(body)


DECODERS: tuple[Callable[[bytes], object], ...] = (
    ack.decode,
    birth.decode,
    message.decode,
    status.decode,
    status.decode_ingest,
)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("key", ["schema", "gateway", "epoch", "time_ms", "online", "meters", "acks"])
@pytest.mark.parametrize("levels", [20, 900, 1100, 100_000])
def test_nesting_beyond_bounds_is_refused_and_raises_nothing_else(
    decode: Callable[[bytes], object], key: str, levels: int
) -> None:
    whole = {"schema": 1, "gateway": "gw-1", "epoch": EPOCH, "time_ms": 1, "software": "t", "online": True}
    body = json.dumps({**whole, key: "HERE"}).encode().replace(b'"HERE"', b"[" * levels + b"]" * levels)

    with pytest.raises(MalformedMessage) as caught:
        decode(body)

    assert len(str(caught.value)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)
KEYS = st.sampled_from(
    ("schema", "gateway", "epoch", "seq", "blocks", "time_ms", "meters", "accounts", "counters", "acks")
)


@pytest.mark.parametrize("decode", DECODERS)
@given(changes=st.dictionaries(KEYS, JSON, max_size=4))
def test_whatever_stands_in_a_body_it_is_read_or_refused(
    decode: Callable[[bytes], object], changes: dict[str, object]
) -> None:
    whole = {
        "schema": 1, "gateway": "gw-1", "epoch": EPOCH, "seq": 1, "blocks": [], "time_ms": 1, "software": "t",
        "online": True, "clean_stop": None, "accounts": [], "counters": {}, "meters": {}, "acks": [],
    }  # fmt: skip
    with contextlib.suppress(MalformedMessage):
        decode(json.dumps({**whole, **changes}).encode())


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (ack.decode, b'{"schema":1.0,"time_ms":1,"acks":[]}'),
        (ack.decode, b'{"schema":true,"time_ms":1,"acks":[]}'),
        (ack.decode, b'{"schema":1,"time_ms":"1_0","acks":[]}'),
        (ack.decode, b'{"schema":1,"time_ms":1.5,"acks":[]}'),
        (status.decode_ingest, b'{"schema":1,"online":1}'),
    ],
)
def test_numbers_are_read_by_their_exact_type(decode: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(body)


@given(st.sets(st.integers(1, 60)))
def test_ranges_cover_exactly_the_numbers(seqs: set[int]) -> None:
    ranges = ack.to_ranges(seqs)

    assert {seq for first, last in ranges for seq in range(first, last + 1)} == seqs
    assert all(later[0] > earlier[1] + 1 for earlier, later in itertools.pairwise(ranges))


def test_an_acknowledgement_covers_its_own_epoch_only() -> None:
    one = ack.EpochAck(EPOCH, ((2, 4),), 1)

    assert ack.covers(one, MessageId(EPOCH, 4))
    assert not ack.covers(one, MessageId(EPOCH, 5))
    assert not ack.covers(one, MessageId("f" * 16, 4))


def test_a_birth_survives_the_wire() -> None:
    counters = {
        "energy_import_wh": birth.CounterFacts(10.0, 1e9),
        "energy_export_wh": birth.CounterFacts(1.0, None),
    }
    facts = birth.MeterFacts("eastron-sdm630", "ab12", Medium.ELECTRICITY, 10.0, "S123", counters)
    wired = replace(facts, ct_primary_a=250.0, vt_primary_v=20_000.0, since_ms=1_789_999_999_000)
    sent = birth.Birth("gw-1", EPOCH, 1_790_000_000_000, "0.1.0", {"m1": facts, "m2": wired})
    read = birth.decode(birth.encode(sent))

    assert read == sent
    assert [one.since_ms for one in read.meters.values()] == [None, 1_789_999_999_000]
    assert b"null" not in birth.encode(sent).partition(b"m2")[0].replace(b'"modulus":null', b"")


@pytest.mark.parametrize(
    "facts",
    [{"ct_primary_a": 0}, {"ct_primary_a": -1}, {"vt_primary_v": "x"}, {"since_ms": -1}, {"since_ms": 2**60}],
)
def test_a_birth_with_impossible_ratings_is_refused(facts: dict[str, object]) -> None:
    meter = {"model": "m", "profile": "p", "medium": "electricity", "poll_s": 10, "counters": {}, **facts}
    body = {
        "schema": 1,
        "gateway": "gw-1",
        "epoch": EPOCH,
        "time_ms": 1,
        "software": "x",
        "meters": {"m1": meter},
    }

    with pytest.raises(MalformedMessage):
        birth.decode(orjson.dumps(body))


def test_a_status_survives_the_wire() -> None:
    account = status.EpochAccount(EPOCH, read=10, stored=5, quarantined=1, held=3, dropped=1)
    sent = status.Status(
        "gw-1", EPOCH, 5, online=True, software="0.1.0", accounts=(account,), counters={"polls": 3}
    )

    assert status.decode(status.encode(sent)) == sent
    assert status.decode(status.encode(replace(sent, clock="system"))).clock == "system"
    assert account.balance == 0


def test_an_instance_that_holds_is_offline_to_gateways_and_gives_no_time() -> None:
    body = status.encode_holding()
    assert (status.decode_ingest(body), status.is_holding(body)) == (False, True)
    assert orjson.loads(body)["time_ms"] == 0
    assert not status.is_holding(status.encode_ingest(online=True, time_ms=1))


def test_the_last_will_says_offline() -> None:
    will = status.decode(status.encode(status.offline(gateway="gw-1", epoch=EPOCH, software="0.1.0")))

    assert (will.online, will.epoch) == (False, EPOCH)


@pytest.mark.parametrize("online", [True, False])
def test_ingest_says_whether_it_is_there(online: bool) -> None:  # noqa: FBT001 - parametrised
    assert status.decode_ingest(status.encode_ingest(online=online, time_ms=1)) is online


@pytest.mark.parametrize("decode", [ack.decode, birth.decode, status.decode, status.decode_ingest])
@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"schema":1}', b'{"schema":9}', b"\xff", b'{"schema":1,"acks":3}']
)
def test_what_is_not_ours_is_refused(decode: object, body: bytes) -> None:
    assert callable(decode)
    with pytest.raises(MalformedMessage):
        decode(body)


@pytest.mark.parametrize(
    "topic",
    [
        topics.data("park-1", "gw-1"),
        topics.birth("park-1", "gw-1"),
        topics.status("park-1", "gw-1"),
        topics.ack("park-1", "gw-1"),
        topics.ingest_status("park-1", "1"),
        topics.ingest_event("park-1", "1"),
    ],
)
def test_our_topics_are_read_back(topic: str) -> None:
    assert str(topics.maybe_parse(topic)) == topic


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "zonewise",
        "zonewise/v2/p/g/data",
        "zonewise/v1/P/g/data",
        "zonewise/v1/p/_g/data",
        "zonewise/v1/p/g/cmd",
    ],
)
def test_other_topics_are_not_ours(topic: str) -> None:
    assert topics.maybe_parse(topic) is None
