"""Verdicts on whole messages, without I/O."""

import json
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.journal.segments import Record
from ingest.pipeline.supervision import validate_safely
from ingest.validation.messages import MessageValidator, ValidationResult
from ingest.validation.registry import Registry
from metering.messages.data import REASONS, MessageId, deflate
from metering.park.model import Park

NOW_MS = 1_790_000_000_000
EPOCH = "00000000000000aa"
TAGS = (("epoch", EPOCH), ("seq", "5"), ("rows", "2"))
STEP = {"step": 1, "modulus": None}
FACTS = {"model": "m", "profile": "p", "medium": "water", "poll_s": 60, "serial": None, "counters": {}}


def validator() -> MessageValidator:
    park = Park("demo", "Demo", ZoneInfo("UTC"), {}, {}, {}, {})
    return MessageValidator(park, Registry(park))


def data(body: bytes, tags: tuple[tuple[str, str], ...] = TAGS) -> Record:
    return Record("zonewise/v1/demo/gw-1/data", NOW_MS, tags, body)


def good(**changes: object) -> bytes:
    block = {
        "medium": "water",
        "quantities": ["volume_l"],
        "rows": [["m-1", NOW_MS, 0, 1], ["m-2", NOW_MS, 0]],
    }
    envelope = {"schema": 1, "gateway": "gw-1", "epoch": EPOCH, "seq": 5, "blocks": [block, block]}
    return json.dumps({**envelope, **changes}).encode()


@pytest.mark.parametrize("body", [good(), deflate(good())])
def test_positions_count_over_all_blocks(body: bytes) -> None:
    result = validator().validate(data(body))
    assert result.maybe_id == MessageId(EPOCH, 5)
    assert [row.position for row in result.stored] == [0, 2]
    assert [(row.position, row.reason, row.meter) for row in result.refused] == [
        (1, "wrong_column_count", "m-2"),
        (3, "wrong_column_count", "m-2"),
    ]
    assert result.rows == 4


def test_a_message_without_properties_is_known_by_its_body() -> None:
    assert validator().validate(data(good(), ())).maybe_id == MessageId(EPOCH, 5)


def test_what_cannot_be_decoded_is_known_by_its_properties() -> None:
    result = validator().validate(data(b"{"))
    assert (result.maybe_reason, result.maybe_id, result.rows) == ("not_json", MessageId(EPOCH, 5), 2)
    result = validator().validate(data(b"{", TAGS[:2]))
    assert (result.maybe_reason, result.maybe_id, result.rows) == ("not_json", None, 0)


def test_body_and_properties_must_name_the_same_message() -> None:
    result = validator().validate(data(good(seq=6)))
    assert (result.maybe_reason, result.maybe_id) == ("id_mismatch", MessageId(EPOCH, 5))


def test_more_rows_than_a_gateway_builds_are_refused_before_they_are_judged() -> None:
    block = {"medium": "water", "quantities": [], "rows": [[]] * 501}
    result = validator().validate(data(good(blocks=[block])))
    assert (result.maybe_reason, result.refused) == ("too_large", ())


def test_a_record_is_judged_alike_at_any_time() -> None:
    record = data(good())
    assert validator().validate(record) == validator().validate(record)


def born(**changes: object) -> Record:
    told = {
        "schema": 1, "gateway": "gw-1", "epoch": EPOCH, "time_ms": NOW_MS, "software": "t",
        "meters": {"m-1": FACTS}, **changes,
    }  # fmt: skip
    body = json.dumps(told).replace("Infinity", "1e400").encode()
    return Record("zonewise/v1/demo/gw-1/birth", NOW_MS, (), body)


def test_a_row_of_another_medium_than_its_meters_is_refused() -> None:
    one = validator()
    one.validate(born(meters={"m-1": {**FACTS, "medium": "electricity"}}))
    block = {
        "medium": "water",
        "quantities": ["volume_l"],
        "rows": [["m-1", NOW_MS, 0, 1], ["m-9", NOW_MS, 0, 1]],
    }
    electricity = {
        "medium": "electricity",
        "quantities": ["energy_import_wh"],
        "rows": [["m-1", NOW_MS, 0, 1]],
    }
    result = one.validate(data(good(blocks=[block, electricity])))
    assert result.refused == [(0, "wrong_medium", "m-1")]
    assert [row.position for row in result.stored] == [1, 2]


def test_rows_of_one_instant_in_two_blocks_are_found() -> None:
    block = {"medium": "water", "quantities": ["volume_l"], "rows": [["m-1", NOW_MS, 0, 1]]}
    other = {"medium": "water", "quantities": ["flow_m3h"], "rows": [["m-1", NOW_MS, 0, 1.5]]}
    result = validator().validate(data(good(blocks=[block, other])))
    assert result.refused == [(1, "same_instant", "m-1")]


def test_a_birth_gives_points_and_no_rows() -> None:
    result = validator().validate(born())
    assert (result.maybe_reason, result.maybe_id, result.rows) == (None, None, 0)
    assert [line.split(b" ")[0] for line in result.points] == [b"meters,gateway=gw-1,meter=m-1,park=demo"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gateway": "gw-2"}, "gateway_mismatch"),
        ({"time_ms": 0}, "absurd_time"),
        ({"time_ms": NOW_MS + 300_001}, "absurd_time"),
        ({"schema": 2}, "wrong_schema"),
        ({"meters": {"M 1": FACTS}}, "bad_envelope"),
        ({"meters": {"m-1": {**FACTS, "poll_s": float("inf")}}}, "bad_envelope"),
        ({"meters": {"m-1": {**FACTS, "poll_s": 1e9}}}, "bad_envelope"),
        ({"meters": {"m-1": {**FACTS, "medium": "steam"}}}, "bad_envelope"),
        ({"meters": {"m-1": {**FACTS, "counters": {"volume_l": {**STEP, "step": 0}}}}}, "bad_envelope"),
        ({"meters": {"m-1": {**FACTS, "counters": {"volume_l": {**STEP, "modulus": 0}}}}}, "bad_envelope"),
        ({"time_ms": float("inf")}, "bad_envelope"),
        ({"meters": {f"m-{number}": FACTS for number in range(1001)}}, "bad_envelope"),
        ({"meters": {"m-1": {**FACTS, "serial": "9" * 251}}}, "bad_envelope"),
        ({"meters": {"m-1": {**FACTS, "counters": {f"q{n}": STEP for n in range(65)}}}}, "bad_envelope"),
        ({"software": "x" * 300_000}, "too_large"),
        ({"time_ms": "1_0"}, "bad_envelope"),
        ({"schema": 1.0}, "wrong_schema"),
    ],
)
def test_a_bad_birth_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert validator().validate(born(**changes)).maybe_reason == reason


def test_a_refused_birth_has_no_effect() -> None:
    one = validator()
    both = {"m-1": FACTS, "m-2": {**FACTS, "poll_s": float("inf")}}
    assert one.validate(born(meters=both)).maybe_reason == "bad_envelope"
    assert one.validate(born()).points == validator().validate(born()).points


def test_a_birth_is_not_acknowledged_whatever_its_properties() -> None:
    result = validator().validate(replace(born(gateway="gw-2"), properties=TAGS))
    assert (result.maybe_reason, result.maybe_id, result.rows) == ("gateway_mismatch", None, 0)


@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda noise: good().replace(b"volume_l", noise)))
def test_whatever_the_bytes_there_is_a_verdict_and_rows_add_up(body: bytes) -> None:
    result = validator().validate(data(body))
    assert result.maybe_reason is None or result.maybe_reason in (*REASONS, "id_mismatch")
    if result.maybe_reason is None:
        assert len(result.stored) + len(result.refused) == result.rows
    else:
        assert (result.stored, result.refused) == ((), ())


class Failing(MessageValidator):
    """A judge with a bug."""

    def validate(self, record: Record) -> ValidationResult:
        """Fail."""
        raise ZeroDivisionError(record.topic)


def test_a_bug_of_ours_sets_one_message_aside() -> None:
    park = Park("demo", "Demo", ZoneInfo("UTC"), {}, {}, {}, {})
    result = validate_safely(Failing(park, Registry(park)), data(good()))
    assert (result.maybe_reason, result.maybe_id) == ("unexpected_error", MessageId(EPOCH, 5))
    assert "ZeroDivisionError" in result.detail
