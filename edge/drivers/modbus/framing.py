"""Finds the answer to a request among received bytes. Pure.

pymodbus takes the first RTU frame of the right unit for the answer, drops whatever stands behind it in the
buffer, and drops everything when two stray bytes come first. So it is shown only what this module has found:
a whole frame, with its checksum, of the unit, function, length and (TCP) transaction that were asked for.

Frames: "MODBUS over Serial Line Specification V1.02", 2.5.1 (RTU, checksum in 6.2.2) and "MODBUS Messaging on
TCP/IP Implementation Guide V1.0b", 3.1.3 (TCP header).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Function

_REFUSAL_BIT = 0x80
_FUNCTIONS = frozenset(Function)
_CRC_BYTES = 2
_HEADER_BYTES = 6
# Unit, function and one byte of data are the least that an answer has.
_MIN_BYTES = 3
_MAX_FRAME_BYTES = 260


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked.

    Attributes:
        unit: Whom.
        block: What.
        transaction: Number in the TCP header; 0 on RTU.
    """

    unit: int
    block: Block
    transaction: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame with a good checksum or header.

    Attributes:
        unit: Who answers.
        function: With the high bit set in a refusal.
        data: What follows the function: byte count and registers, or the exception code.
        transaction: Number in the TCP header; 0 on RTU.
        raw: All its bytes.
    """

    unit: int
    function: int
    data: bytes
    transaction: int
    raw: bytes

    def answers(self, request: Request) -> bool:
        """Tell whether this can be the answer; two blocks of equal length look the same on RTU."""
        if not self.is_rival(request):
            return False
        if self.function == request.block.function | _REFUSAL_BIT:
            return len(self.data) == 1
        size = request.block.size
        return self.function == request.block.function and self.data[:1] == bytes([size])

    def is_rival(self, request: Request) -> bool:
        """Tell whether the asked unit sent this to this request, whether or not it is an answer."""
        return (self.unit, self.transaction) == (request.unit, request.transaction)


#: Gives every whole frame in received bytes, in their order, whatever stands between them.
Framing = Callable[[bytes], Iterator[Frame]]


def rtu_frames(received: bytes) -> Iterator[Frame]:
    """Yield the RTU frames of answers to reads."""
    at = 0
    while at < len(received) - _MIN_BYTES - _CRC_BYTES + 1:
        size = _rtu_size(received, at)
        raw = received[at : at + size]
        if size and len(raw) == size and crc(raw) == 0:
            yield Frame(raw[0], raw[1], raw[2:-_CRC_BYTES], 0, raw)
            at += size
        else:
            at += 1


def is_under_way(received: bytes, request: Request) -> bool:
    """Tell whether an RTU answer has begun and is not whole: spares searching again at every byte."""
    head = bytes([request.unit, request.block.function, request.block.size])
    return received[: len(head)] == head and len(received) < len(head) + request.block.size + _CRC_BYTES


def _rtu_size(received: bytes, at: int) -> int:
    """Return how long a frame that starts here would be; 0 when none can."""
    function = received[at + 1]
    if function in _FUNCTIONS:
        return _MIN_BYTES + received[at + 2] + _CRC_BYTES
    return _MIN_BYTES + _CRC_BYTES if function & ~_REFUSAL_BIT in _FUNCTIONS else 0


def tcp_frames(received: bytes) -> Iterator[Frame]:
    """Yield the TCP frames of answers to reads."""
    at = 0
    while at <= len(received) - _HEADER_BYTES - _MIN_BYTES:
        size = _tcp_size(received, at)
        raw = received[at : at + size]
        if size and len(raw) == size:
            yield Frame(raw[6], raw[7], raw[8:], int.from_bytes(raw[:2], "big"), raw)
            at += size
        else:
            at += 1


def _tcp_size(received: bytes, at: int) -> int:
    """Return how long a frame that starts here would be; 0 when none can."""
    protocol = int.from_bytes(received[at + 2 : at + 4], "big")
    size = _HEADER_BYTES + int.from_bytes(received[at + 4 : at + 6], "big")
    function = received[at + 7]
    if protocol or not _HEADER_BYTES + _MIN_BYTES <= size <= _MAX_FRAME_BYTES:
        return 0
    if function in _FUNCTIONS:
        return size if size == _HEADER_BYTES + _MIN_BYTES + received[at + 8] else 0
    is_refusal = function & ~_REFUSAL_BIT in _FUNCTIONS
    return size if is_refusal and size == _HEADER_BYTES + _MIN_BYTES else 0


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRC_TABLE = tuple(_crc_of(byte) for byte in range(256))


def crc(data: bytes) -> int:
    """Return the checksum of RTU frames, low byte sent first; 0 over a frame that includes its own."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value
