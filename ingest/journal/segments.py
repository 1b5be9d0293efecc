"""Bytes of a journal segment. Pure.

A segment is `HEADER`, then frames. A frame is one group commit:

    magic 4 | payload bytes u32 | records u32 | first receipt i64 | last receipt i64 | crc32 u32 | payload

Big-endian; times in UTC milliseconds; the CRC covers all of the frame but itself. The payload is zlib of the
records; of each: topic u16+text | receipt i64 | properties u16 x (key u16+text, value u16+text) | body
u32+bytes.

Invariants:
- Whatever the bytes, `scan` ends and never raises: each byte after the header belongs to one `Frame` or one
  `Damage`.
- A frame is given only if its CRC is right. After damage the next right frame is found by its magic.
- Damage with nothing good behind it is `torn`: a write that was cut short, or is just under way.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HEADER = b"zonewise journal 1\n"
_HEADER_START = b"zonewise journal "
_MAGIC = b"\xf7ZWF"
_FIXED = struct.Struct(">4sIIqq")
_CRC = struct.Struct(">I")
FRAME_OVERHEAD_BYTES = _FIXED.size + _CRC.size
#: No frame of ours is larger; lengths above are damage.
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
#: Level 1: most bodies arrive deflated, and the rest are small.
_ZLIB_LEVEL = 1

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_RECEIPT = struct.Struct(">q")


@dataclass(frozen=True, slots=True)
class Record:
    """A message as received.

    Attributes:
        topic: MQTT topic.
        received_at_ms: Ingest's clock, UTC milliseconds since 1970.
        properties: MQTT user properties, in their order.
        body: Payload, byte for byte.
    """

    topic: str
    received_at_ms: int
    properties: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class JournalPlace:
    """Where a record lies: the frame's offset in its segment, and the record's index in the frame."""

    park: str
    segment: str
    offset: int
    index: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One group commit of a segment; `offset` and `size_bytes` tell where it lies."""

    offset: int
    size_bytes: int
    record_count: int
    first_ms: int
    last_ms: int
    payload: bytes

    def records(self) -> tuple[Record, ...]:
        """Read the records; the CRC has vouched for them."""
        return tuple(_decode_records(zlib.decompress(self.payload), self.record_count))


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no frame; `torn` = nothing good follows."""

    offset: int
    size_bytes: int
    torn: bool


def encode_frame(records: Sequence[Record]) -> bytes:
    """Return the bytes of one group commit.

    Raises:
        ValueError: for no records, or a topic or property above 65,535 bytes, which MQTT cannot carry.
    """
    if not records:
        raise ValueError("a frame holds at least one record")
    payload = zlib.compress(b"".join(_encode_record(record) for record in records), _ZLIB_LEVEL)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a frame of {len(payload)} bytes is above {MAX_PAYLOAD_BYTES}")
    times_ms = [record.received_at_ms for record in records]
    fixed = _FIXED.pack(_MAGIC, len(payload), len(records), min(times_ms), max(times_ms))
    return b"".join((fixed, _CRC.pack(_crc(fixed, payload)), payload))


def _crc(fixed: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(fixed))


def is_ours(start: bytes) -> bool:
    """Tell by a segment's first bytes whether it is of this version; a torn or damaged header is ours."""
    return not start.startswith(_HEADER_START) or HEADER.startswith(start[: len(HEADER)])


def maybe_frame_at(data: bytes, offset: int) -> Frame | None:
    """Return the frame that starts at an offset; `None` where there is no whole and right one."""
    body_at = offset + FRAME_OVERHEAD_BYTES
    if not data.startswith(_MAGIC, offset) or body_at > len(data):
        return None
    fixed = data[offset : offset + _FIXED.size]
    _, length, count, first_ms, last_ms = _FIXED.unpack(fixed)
    payload = data[body_at : body_at + length]
    if length > MAX_PAYLOAD_BYTES or len(payload) < length:
        return None
    (crc,) = _CRC.unpack_from(data, offset + _FIXED.size)
    if crc != _crc(fixed, payload):
        return None
    return Frame(offset, FRAME_OVERHEAD_BYTES + length, count, first_ms, last_ms, payload)


def maybe_frame_bytes(start: bytes) -> int | None:
    """Return the size of the frame whose first `FRAME_OVERHEAD_BYTES` these are; `None` = not a frame's."""
    if len(start) < FRAME_OVERHEAD_BYTES or not start.startswith(_MAGIC):
        return None
    _, length, *_ = _FIXED.unpack_from(start)
    return FRAME_OVERHEAD_BYTES + length if length <= MAX_PAYLOAD_BYTES else None


def scan(data: bytes) -> Iterator[Frame | Damage]:
    """Return the frames of a segment in order, and what lies between them."""
    offset = len(HEADER) if data.startswith(HEADER) else 0
    while offset < len(data):
        maybe_frame = maybe_frame_at(data, offset)
        if maybe_frame is not None:
            yield maybe_frame
            offset += maybe_frame.size_bytes
            continue
        maybe_next = _maybe_next_frame_offset(data, offset + 1)
        end = len(data) if maybe_next is None else maybe_next
        yield Damage(offset, end - offset, torn=maybe_next is None)
        offset = end


def _maybe_next_frame_offset(data: bytes, offset: int) -> int | None:
    while (offset := data.find(_MAGIC, offset)) >= 0:
        if maybe_frame_at(data, offset) is not None:
            return offset
        offset += 1
    return None


def good_size_bytes(data: bytes) -> int:
    """Return the size up to which a segment is to be kept: all but a torn tail."""
    end = 0
    for part in scan(data):
        if isinstance(part, Damage) and part.torn:
            return part.offset
        end = part.offset + part.size_bytes
    return max(end, len(HEADER) if data.startswith(HEADER) else 0)


def _encode_record(record: Record) -> bytes:
    parts = [_text(record.topic), _RECEIPT.pack(record.received_at_ms), _length(len(record.properties))]
    for key, value in record.properties:
        parts += (_text(key), _text(value))
    return b"".join((*parts, _U32.pack(len(record.body)), record.body))


def _length(length: int) -> bytes:
    if length >= 1 << 16:
        raise ValueError(f"{length} does not fit 16 bits")
    return _U16.pack(length)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _length(len(encoded)) + encoded


def _decode_records(data: bytes, count: int) -> Iterator[Record]:
    reader = _Reader(data)
    for _ in range(count):
        topic = reader.text()
        (received_at_ms,) = _RECEIPT.unpack(reader.take(_RECEIPT.size))
        properties = tuple((reader.text(), reader.text()) for _ in range(reader.length()))
        (size,) = _U32.unpack(reader.take(_U32.size))
        yield Record(topic, received_at_ms, properties, reader.take(size))


class _Reader:
    """A position in the bytes of records."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        return self._data[start : self._at]

    def length(self) -> int:
        (length,) = _U16.unpack(self.take(_U16.size))
        return int(length)

    def text(self) -> str:
        return self.take(self.length()).decode()
