"""The data message: round trip, limits, and everything that must be refused with its reason."""

import json
import math
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import MalformedMessage
from metering.messages.data import (
    MAX_INFLATED_BYTES,
    MAX_ROWS,
    MAX_SEQ,
    MAX_WIRE_BYTES,
    REASONS,
    Message,
    MessageId,
    Tag,
    decode,
    deflate,
    encode,
    inflate,
    is_deflated,
    maybe_tag,
    to_properties,
)
from metering.quantities import Medium
from metering.readings import ReadingFlag, Row, RowBlock

EPOCH = "00ff00ff00ff00ff"
TAKEN = 1_790_000_000_000

values = st.none() | st.integers(0, 2**53) | st.floats(allow_nan=False, allow_infinity=False)
rows = st.builds(
    Row,
    meter=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True),
    taken_at_ms=st.integers(1_577_836_800_000, 2**45),
    quality=st.integers(0, 15).map(ReadingFlag),
    values=st.tuples(values, values),
)
blocks = st.builds(
    RowBlock,
    medium=st.sampled_from(Medium),
    quantities=st.just(("energy_import_wh", "active_power_w")),
    rows=st.lists(rows, min_size=1, max_size=5).map(tuple),
)


def message(*some_blocks: RowBlock, seq: int = 1) -> Message:
    return Message(gateway="gw-1", id=MessageId(EPOCH, seq), blocks=some_blocks)


def block(*some_rows: Row) -> RowBlock:
    return RowBlock(Medium.WATER, ("volume_l",), some_rows)


def row(value: float | None = 5, *, meter: str = "m1", taken_at_ms: int = TAKEN) -> Row:
    return Row(meter, taken_at_ms, 0, (value,))


@given(st.lists(blocks, min_size=1, max_size=3), st.integers(1, MAX_SEQ), st.booleans())
def test_what_is_encoded_is_decoded(some: list[RowBlock], seq: int, deflated: bool) -> None:  # noqa: FBT001 - drawn
    sent = message(*some, seq=seq)
    body = encode(sent)

    envelope = decode(deflate(body) if deflated else body)

    assert (envelope.gateway, envelope.id, envelope.row_count) == ("gw-1", sent.id, sent.row_count)
    received = [
        (b.medium, b.quantities, [(m, t, q, *values) for m, t, q, *values in b.rows]) for b in envelope.blocks
    ]
    assert received == [
        (b.medium, b.quantities, [(r.meter, r.taken_at_ms, r.quality, *r.values) for r in b.rows])
        for b in some
    ]


@given(st.binary(max_size=200))
def test_garbage_is_refused_with_a_known_reason(garbage: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode(garbage)

    assert caught.value.reason in REASONS


@given(st.data())
def test_every_torn_body_is_refused(data: st.DataObject) -> None:
    body = encode(message(block(row())))
    if data.draw(st.booleans()):
        body = deflate(body)

    with pytest.raises(MalformedMessage):
        decode(body[: data.draw(st.integers(0, len(body) - 1))])


def _with(**changes: object) -> bytes:
    parsed = json.loads(encode(message(block(row()))))
    return json.dumps({**parsed, **changes}).encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"\xff\xfe{}", "invalid_utf8"),
        (b"[1]", "bad_envelope"),
        (_with(schema=2), "wrong_schema"),
        (_with(schema=True), "wrong_schema"),
        (_with(schema=1.0), "wrong_schema"),
        (_with(gateway="GW 1"), "bad_envelope"),
        (_with(gateway=7), "bad_envelope"),
        (_with(epoch="xyz"), "bad_envelope"),
        (_with(seq=0), "bad_envelope"),
        (_with(seq=MAX_SEQ + 1), "bad_envelope"),
        (_with(seq="1"), "bad_envelope"),
        (_with(seq=True), "bad_envelope"),
        (_with(blocks={}), "bad_envelope"),
        (
            _with(blocks=[{"medium": "water", "quantities": ["volume_l", "volume_l"], "rows": []}]),
            "bad_envelope",
        ),
        (_with(blocks=[{"medium": "water", "quantities": [1], "rows": []}]), "bad_envelope"),
        (_with(blocks=[{"medium": "water", "quantities": ["volume_l"]}]), "bad_envelope"),
        (
            _with(blocks=[{"medium": "water", "quantities": [str(n) for n in range(257)], "rows": []}]),
            "too_large",
        ),
        (_with(blocks=[{"medium": "water", "quantities": [], "rows": []}] * 501), "too_large"),
        (b"{" + b" " * MAX_WIRE_BYTES, "too_large"),
        (b"x\x9cnot a stream", "bad_deflate"),
        (b"[" * 100_000, "not_json"),
        (b'{"schema":1,"gateway":"\\ud800"}', "invalid_utf8"),
    ],
)
def test_a_message_that_cannot_be_used_says_why(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode(body)

    assert caught.value.reason == reason


def test_nan_comes_through_to_be_judged_as_a_value() -> None:
    body = encode(message(block(row(123456.5)))).replace(b"123456.5", b"NaN")

    (only,) = decode(body).blocks

    assert math.isnan(only.rows[0][3])


def test_a_deflate_bomb_is_stopped_at_the_limit() -> None:
    bomb = zlib.compress(b" " * (100 * MAX_INFLATED_BYTES), 9)
    assert len(bomb) < MAX_WIRE_BYTES

    with pytest.raises(MalformedMessage, match="too_large"):
        inflate(bomb)


def test_the_first_byte_tells_whether_a_body_is_deflated() -> None:
    body = encode(message(block(row())))

    assert (is_deflated(body), is_deflated(deflate(body))) == (False, True)


def test_too_many_rows_are_refused() -> None:
    crowd = block(*(row(taken_at_ms=TAKEN + i) for i in range(MAX_ROWS + 1)))

    with pytest.raises(ValueError, match="1 to 500 rows"):
        message(crowd)


@pytest.mark.parametrize("bad", ["", "Main", "a b", "-a", "a-", "x" * 64])
def test_a_row_needs_a_meter_id(bad: str) -> None:
    with pytest.raises(ValueError, match="meter id"):
        row(meter=bad)


def test_a_row_of_1970_cannot_exist() -> None:
    with pytest.raises(ValueError, match="before 2020"):
        row(taken_at_ms=86_400_000)


def test_a_row_has_one_value_per_quantity() -> None:
    with pytest.raises(ValueError, match="1 values for 2 quantities"):
        RowBlock(Medium.WATER, ("volume_l", "flow_m3h"), (row(),))


@pytest.mark.parametrize("backlog", [True, False])
def test_the_user_properties_identify_what_cannot_be_decoded(backlog: bool) -> None:  # noqa: FBT001 - parametrised
    tag = Tag(MessageId(EPOCH, 7), rows=3)

    assert maybe_tag(to_properties(tag, backlog=backlog, deflated=True)) == tag


@pytest.mark.parametrize(
    "properties",
    [
        [],
        [("epoch", EPOCH), ("seq", "1")],
        [("epoch", "?"), ("seq", "1"), ("rows", "1")],
        [("epoch", EPOCH), ("seq", "one"), ("rows", "1")],
        [("epoch", EPOCH), ("seq", "1_0"), ("rows", "1")],
        [("epoch", EPOCH), ("seq", "\u0663"), ("rows", "1")],
        [("epoch", EPOCH), ("seq", " 1"), ("rows", "1")],
        [("epoch", EPOCH), ("seq", "01"), ("rows", "1")],
        [("epoch", EPOCH), ("seq", "1"), ("rows", "+1")],
        [("epoch", EPOCH), ("seq", "1"), ("rows", "-1")],
        [("epoch", EPOCH), ("seq", str(10**30)), ("rows", "1")],
        [("epoch", EPOCH), ("seq", "1"), ("rows", "1000000")],
    ],
)
def test_unreadable_user_properties_give_nothing(properties: list[tuple[str, str]]) -> None:
    assert maybe_tag(properties) is None
