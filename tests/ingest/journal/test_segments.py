"""The journal's bytes: read back whole, torn at every byte, with any bit flipped, and as garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.journal.segments import (
    HEADER,
    Damage,
    Frame,
    Record,
    encode_frame,
    good_size_bytes,
    is_ours,
    maybe_frame_at,
    scan,
)

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_RECORDS = st.builds(
    Record,
    topic=_TEXT,
    received_at_ms=st.integers(0, 2**45),
    properties=st.lists(st.tuples(_TEXT, _TEXT), max_size=4).map(tuple),
    body=st.binary(max_size=200),
)
_GROUPS = st.lists(st.lists(_RECORDS, min_size=1, max_size=4), min_size=1, max_size=5)


def segment(groups: list[list[Record]]) -> bytes:
    return HEADER + b"".join(encode_frame(group) for group in groups)


def frames(data: bytes) -> list[Frame]:
    return [part for part in scan(data) if isinstance(part, Frame)]


def damages(data: bytes) -> list[Damage]:
    return [part for part in scan(data) if isinstance(part, Damage)]


def records(data: bytes) -> list[list[Record]]:
    return [list(frame.records()) for frame in frames(data)]


def some_record(body: bytes, received_at_ms: int = 1_790_000_000_000) -> Record:
    return Record("zonewise/v1/demo/gw-1/data", received_at_ms, (("seq", "1"),), body)


THREE = [[some_record(b"a" * 30, 5), some_record(b"b", 3)], [some_record(b"\xf7ZWF" * 9)], [some_record(b"")]]


@given(_GROUPS)
def test_what_was_written_is_read(groups: list[list[Record]]) -> None:
    data = segment(groups)
    assert records(data) == groups
    assert damages(data) == []
    assert good_size_bytes(data) == len(data)


def test_a_frame_says_what_is_in_it() -> None:
    first = frames(segment(THREE))[0]
    assert (first.offset, first.record_count, first.first_ms, first.last_ms) == (len(HEADER), 2, 3, 5)
    assert maybe_frame_at(segment(THREE), first.offset) == first


def test_torn_at_every_byte_the_whole_frames_before_are_read() -> None:
    data = segment(THREE)
    ends = [len(HEADER)] + [frame.offset + frame.size_bytes for frame in frames(data)]
    for size in range(len(HEADER), len(data)):
        torn = data[:size]
        whole = sum(end <= size for end in ends) - 1
        assert records(torn) == THREE[:whole]
        assert good_size_bytes(torn) == ends[whole]
        assert all(damage.torn for damage in damages(torn))


def test_torn_within_the_header_nothing_is_kept() -> None:
    assert [good_size_bytes(HEADER[:size]) for size in range(len(HEADER))] == [0] * len(HEADER)


def test_every_flipped_bit_costs_at_most_its_own_frame() -> None:
    data = segment(THREE)
    bounds = [(frame.offset, frame.offset + frame.size_bytes) for frame in frames(data)]
    for bit in range(len(HEADER) * 8, len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        hit = next(i for i, (start, end) in enumerate(bounds) if start <= bit // 8 < end)
        assert records(bytes(flipped)) == THREE[:hit] + THREE[hit + 1 :]
        (damage,) = damages(bytes(flipped))
        assert (damage.offset, damage.torn) == (bounds[hit][0], hit == len(THREE) - 1)


def test_a_damaged_header_hides_no_frame() -> None:
    data = b"?" + segment(THREE)[1:]
    assert records(data) == THREE
    assert good_size_bytes(data) == len(data)
    assert is_ours(data[: len(HEADER)])


def test_a_newer_version_is_told_apart() -> None:
    assert not is_ours(b"zonewise journal 2\n")


@given(_GROUPS, st.binary(min_size=1, max_size=60), st.data())
def test_garbage_between_frames_is_skipped(
    groups: list[list[Record]], garbage: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(groups)))
    spoilt = segment(groups[:at]) + garbage + segment(groups[at:])[len(HEADER) :]
    assert records(spoilt) == groups
    assert sum(damage.size_bytes for damage in damages(spoilt)) == len(garbage)


@given(st.binary(max_size=300))
def test_any_bytes_are_scanned_to_the_end(data: bytes) -> None:
    parts = list(scan(HEADER + data))
    assert sum(part.size_bytes for part in parts) == len(data)


def test_nothing_is_no_frame() -> None:
    with pytest.raises(ValueError, match="at least one"):
        encode_frame([])


def test_a_text_that_mqtt_cannot_carry_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bits"):
        encode_frame([Record("t" * 65536, 0, (), b"")])
