"""Modbus frames from the device's side: requests in, answers out. Pure.

Sources: MODBUS Application Protocol V1.1b3 (functions 3 and 4), MODBUS over Serial Line V1.02 (RTU, CRC),
MODBUS Messaging on TCP/IP Implementation Guide V1.0b (header). Only read requests are known; they have eight
bytes on a serial line and twelve over TCP.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from simulators.meters.image import Request

RTU_REQUEST_BYTES = 8
_RTU = Struct(">BBHH")
_CRC = Struct("<H")
_HEADER = Struct(">HHHB")
_READ = Struct(">BHH")
_MAX_TCP = 260
_EXCEPTION_BIT = 0x80


def crc16(data: bytes) -> int:
    """Return the CRC of a frame (polynomial A001, start FFFF)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def answer_pdu(request: Request, data: bytes) -> bytes:
    """Return an answer that carries registers."""
    return bytes((request.function, len(data))) + data


def exception_pdu(request: Request, code: int) -> bytes:
    """Return an exception answer."""
    return bytes((request.function | _EXCEPTION_BIT, code))


def rtu_frame(unit: int, pdu: bytes, *, spoiled: bool = False) -> bytes:
    """Return an answer for a serial line; `spoiled` gives it a wrong CRC."""
    body = bytes((unit,)) + pdu
    return body + _CRC.pack(crc16(body) ^ (0x5AA5 if spoiled else 0))


def maybe_rtu_request(frame: bytes) -> Request | None:
    """Read a request; `None` where length or CRC are wrong, which devices do not answer."""
    if len(frame) != RTU_REQUEST_BYTES or _CRC.unpack(frame[-2:])[0] != crc16(frame[:-2]):
        return None
    return Request(*_RTU.unpack(frame[:-2]))


@dataclass(frozen=True, slots=True)
class TcpRequest:
    """A request and the transaction that its answer must name."""

    transaction: int
    request: Request


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """Return an answer for a TCP connection."""
    return _HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


class TcpReader:
    """Cuts a stream into requests."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[TcpRequest]:
        """Take bytes and yield the requests that are complete.

        Raises:
            ValueError: when the stream is no Modbus TCP; the connection cannot be used any more.
        """
        self._held += data
        while len(self._held) >= _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(self._held)
            if protocol != 0 or not 1 < length < _MAX_TCP:
                raise ValueError(f"no Modbus TCP header: {self._held[: _HEADER.size].hex()}")
            end = _HEADER.size - 1 + length
            if len(self._held) < end:
                return
            pdu, self._held = self._held[_HEADER.size : end], self._held[end:]
            yield TcpRequest(transaction, _request(unit, pdu))


def _request(unit: int, pdu: bytes) -> Request:
    if len(pdu) < _READ.size:
        return Request(unit, pdu[0], 0, 0)
    return Request(unit, *_READ.unpack_from(pdu))
