"""Modbus frames: samples whole, byte by byte, and with garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.meters.frames import (
    TcpReader,
    TcpRequest,
    answer_pdu,
    crc16,
    exception_pdu,
    maybe_rtu_request,
    rtu_frame,
    tcp_frame,
)
from simulators.meters.image import ExceptionCode, Request

# MODBUS over Serial Line V1.02 has no full sample; this request is what pymodbus 3.16.1 sends, and the answer is
# the example of the Eastron SDM630 protocol document (230.2 V at register 0).
REQUEST = bytes.fromhex("01 04 00 00 00 02 71 cb")
ANSWER = bytes.fromhex("01 04 04 43 66 33 34 1b 38")


def test_a_known_request_is_read() -> None:
    assert maybe_rtu_request(REQUEST) == Request(1, 4, 0, 2)


def test_a_known_answer_is_built() -> None:
    pdu = answer_pdu(Request(1, 4, 0, 2), bytes.fromhex("43663334"))
    assert rtu_frame(1, pdu) == ANSWER


def test_a_spoiled_frame_differs_only_in_its_checksum() -> None:
    spoiled = rtu_frame(1, answer_pdu(Request(1, 4, 0, 2), bytes.fromhex("43663334")), spoiled=True)
    assert spoiled[:-2] == ANSWER[:-2]
    assert spoiled[-2:] != ANSWER[-2:]


@given(st.binary(max_size=12))
def test_garbage_is_no_request(garbage: bytes) -> None:
    maybe_request = maybe_rtu_request(garbage)
    assert maybe_request is None or int.from_bytes(garbage[-2:], "little") == crc16(garbage[:-2])


def test_an_exception_answer_says_why() -> None:
    assert exception_pdu(Request(1, 3, 0, 2), ExceptionCode.ILLEGAL_ADDRESS) == bytes.fromhex("83 02")


@pytest.mark.parametrize("size", [1, 2, 5, 12, 24])
def test_tcp_requests_are_read_however_they_are_cut(size: int) -> None:
    stream = bytes.fromhex("0007 0000 0006 11 03 006b 0003") + bytes.fromhex("0008 0000 0006 12 04 0000 0001")
    reader = TcpReader()
    found = [one for at in range(0, len(stream), size) for one in reader.feed(stream[at : at + size])]
    assert found == [TcpRequest(7, Request(0x11, 3, 0x6B, 3)), TcpRequest(8, Request(0x12, 4, 0, 1))]


def test_a_stream_that_is_no_modbus_is_refused() -> None:
    with pytest.raises(ValueError, match="no Modbus TCP header"):
        list(TcpReader().feed(b"GET / HTTP/1.1\r\n"))


def test_a_tcp_answer_names_its_transaction() -> None:
    assert tcp_frame(7, 0x11, b"\x03\x02\x00\x01") == bytes.fromhex("0007 0000 0005 11 03 02 0001")
