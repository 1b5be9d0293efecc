"""Finding answers among bytes: whole, in pieces, with garbage around."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.modbus.framing import Frame, Request, crc, is_under_way, rtu_frames, tcp_frames
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Function
from tests.peers.modbus_meters import checksum

#: MODBUS over Serial Line V1.02 gives no frame with its checksum; this one is a capture in Eastron's SDM630
#: protocol V1.7, 3.8: Volts 1 of unit 1.
VOLTS_1 = bytes.fromhex("01 04 04 43 66 33 34 1B 38")
BLOCK = Block(Function.INPUT, 0, 2)


def rtu(unit: int, function: int, data: bytes) -> bytes:
    body = bytes([unit, function]) + data
    return body + checksum(body)


def tcp(transaction: int, unit: int, function: int, data: bytes) -> bytes:
    return struct.pack(">HHHBB", transaction, 0, len(data) + 2, unit, function) + data


def test_a_frame_from_the_manual_is_found() -> None:
    (frame,) = rtu_frames(VOLTS_1)
    assert frame == Frame(1, 4, bytes.fromhex("04 43 66 33 34"), 0, VOLTS_1)
    assert frame.answers(Request(1, BLOCK))


@pytest.mark.parametrize(
    ("request_", "is_answer"),
    [
        (Request(1, BLOCK), True),
        (Request(1, Block(Function.INPUT, 40, 2)), True),
        (Request(2, BLOCK), False),
        (Request(1, Block(Function.HOLDING, 0, 2)), False),
        (Request(1, Block(Function.INPUT, 0, 3)), False),
        (Request(1, BLOCK, transaction=7), False),
    ],
)
def test_only_what_fits_the_request_is_its_answer(request_: Request, is_answer: bool) -> None:  # noqa: FBT001 - a table
    (frame,) = rtu_frames(VOLTS_1)
    assert frame.answers(request_) is is_answer


def test_a_refusal_is_an_answer() -> None:
    (frame,) = rtu_frames(rtu(1, 0x84, b"\2"))
    assert frame.answers(Request(1, BLOCK))
    (frame,) = tcp_frames(tcp(9, 1, 0x83, b"\2"))
    assert frame.answers(Request(1, Block(Function.HOLDING, 0, 2), 9))


def test_an_answer_is_under_way_until_it_is_whole() -> None:
    found = [is_under_way(VOLTS_1[:size], Request(1, BLOCK)) for size in range(len(VOLTS_1) + 1)]
    assert found == [False] * 3 + [True] * (len(VOLTS_1) - 3) + [False]
    assert not is_under_way(VOLTS_1[:5], Request(2, BLOCK))


@given(st.binary(max_size=300))
def test_checksums_agree_with_the_slow_way(data: bytes) -> None:
    assert struct.pack("<H", crc(data)) == checksum(data)
    assert crc(data + checksum(data)) == 0


frames = st.tuples(st.integers(1, 247), st.sampled_from(Function), st.integers(1, 125), st.randoms())


@given(st.lists(frames, max_size=4), st.sampled_from(["tcp", "rtu"]))
def test_frames_one_behind_the_other_are_all_found(
    chosen: list[tuple[int, int, int, object]], way: str
) -> None:
    sent = []
    for number, (unit, function, count, jitter) in enumerate(chosen):
        data = bytes([2 * count]) + jitter.randbytes(2 * count)  # type: ignore[attr-defined]
        sent.append(tcp(number + 1, unit, function, data) if way == "tcp" else rtu(unit, function, data))
    found = tcp_frames(b"".join(sent)) if way == "tcp" else rtu_frames(b"".join(sent))
    assert [frame.raw for frame in found] == sent


@given(st.binary(max_size=6), st.integers(0, len(VOLTS_1)))
def test_a_frame_is_found_behind_garbage_once_it_is_whole(garbage: bytes, missing: int) -> None:
    found = [frame.raw for frame in rtu_frames(garbage + VOLTS_1[: len(VOLTS_1) - missing])]
    assert (VOLTS_1 in found) == (missing == 0)


pieces = st.one_of(
    st.binary(max_size=60),
    st.just(VOLTS_1),
    st.builds(tcp, st.integers(0, 65535), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=253)),
)


@given(st.lists(pieces, max_size=8).map(b"".join))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    for frame in (*rtu_frames(data), *tcp_frames(data)):
        assert frame.raw in data
