"""The data message of a gateway: columnar JSON, schema 1 (docs/schema.md shows one).

Contract:
- The gateway builds a `Message` of valid rows and `encode`s it once; every resend carries the same bytes.
- Ingest `decode`s bytes of anyone into an `Envelope`: gateway, epoch, seq and the shape of the blocks are
  checked here, the rows are left as they came, for `ingest.validation.rows` to validate one by one.
- A body may be deflated (zlib). The first byte tells which: JSON starts with `{`, zlib never does.
- Sizes: at most 128 KiB on the wire and 1 MiB inflated. `encode` refuses to build a larger one, `decode`
  stops inflating at the limit, so a decompression bomb costs 1 MiB.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from metering.errors import MalformedMessage
from metering.messages.json_body import check_schema, parse_json
from metering.names import is_epoch, is_gateway_id
from metering.readings import RowBlock

SCHEMA = 1
MAX_WIRE_BYTES = 128 * 1024
MAX_INFLATED_BYTES = 1024 * 1024
MAX_ROWS = 500
#: Columns of a block, far above what any meter has; without a bound one message could fill the memory.
MAX_COLUMNS = 256
#: The largest number that fits into JSON and the outbox's key; 35 years of a thousand messages a second.
MAX_SEQ = 2**40 - 1
#: A gateway closes a message at these sizes, well below the limits above.
TARGET_BYTES = 64 * 1024
#: The most that a gateway has in flight, and that ingest queues of one gateway.
WINDOW_MESSAGES = 64
WINDOW_BYTES = 1_000_000

#: Why a message as a whole cannot be used: keys of counters and of the quarantine, never reworded.
REASONS = (
    "too_large",
    "bad_deflate",
    "invalid_utf8",
    "not_json",
    "wrong_schema",
    "bad_envelope",
    "gateway_mismatch",
)


@dataclass(frozen=True, slots=True)
class MessageId:
    """What identifies a message and its rows for acknowledgement.

    Attributes:
        epoch: 16 lower-case hex digits, drawn at each start of a gateway process.
        seq: From 1 in its epoch, up to `MAX_SEQ`.
    """

    epoch: str
    seq: int

    def __post_init__(self) -> None:
        if not is_epoch(self.epoch):
            raise ValueError(f"epoch {self.epoch!r} is not 16 hex digits")
        if not 1 <= self.seq <= MAX_SEQ:
            raise ValueError("seq is not 1 to 2^40 - 1")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of valid rows, ready to be encoded.

    Raises:
        ValueError: for a bad gateway id, no blocks, or more than `MAX_ROWS` rows.
    """

    gateway: str
    id: MessageId
    blocks: tuple[RowBlock, ...]

    def __post_init__(self) -> None:
        if not is_gateway_id(self.gateway):
            raise ValueError(f"{self.gateway!r} is not a gateway id")
        if not 1 <= self.row_count <= MAX_ROWS:
            raise ValueError(f"a message holds 1 to {MAX_ROWS} rows, not {self.row_count}")

    @property
    def row_count(self) -> int:
        """Rows in all blocks: the unit of the accounts at both ends."""
        return sum(len(block.rows) for block in self.blocks)


@dataclass(frozen=True, slots=True)
class RawBlock:
    """A block as received: its rows may be lists of anything, or anything else."""

    medium: str
    quantities: tuple[str, ...]
    rows: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A decoded message whose rows are not validated yet."""

    gateway: str
    id: MessageId
    blocks: tuple[RawBlock, ...]

    @property
    def row_count(self) -> int:
        """Rows in all blocks, good and bad."""
        return sum(len(block.rows) for block in self.blocks)


def encode(message: Message) -> bytes:
    """Return the JSON body of a message.

    Raises:
        ValueError: when it is larger than `MAX_INFLATED_BYTES`.
    """
    body = orjson.dumps(
        {
            "schema": SCHEMA,
            "gateway": message.gateway,
            "epoch": message.id.epoch,
            "seq": message.id.seq,
            "blocks": [_block_object(block) for block in message.blocks],
        }
    )
    if len(body) > MAX_INFLATED_BYTES:
        raise ValueError(f"message of {len(body)} bytes is above {MAX_INFLATED_BYTES}")
    return body


def _block_object(block: RowBlock) -> dict[str, Any]:
    rows = [[row.meter, row.taken_at_ms, row.quality, *row.values] for row in block.rows]
    return {"medium": block.medium, "quantities": block.quantities, "rows": rows}


def deflate(body: bytes) -> bytes:
    """Compress a body for a narrow uplink or the disk (level 1: a gateway's processor is small)."""
    return zlib.compress(body, 1)


def is_deflated(body: bytes) -> bool:
    """Tell by the first byte whether a body is deflated; a zlib stream starts with 0x78 (default window)."""
    return body[:1] == b"\x78"


def inflate(body: bytes) -> bytes:
    """Undo `deflate`, never returning more than `MAX_INFLATED_BYTES`.

    Raises:
        MalformedMessage: `bad_deflate` for a broken stream, `too_large` above the limit.
    """
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(body, MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise MalformedMessage("bad_deflate", str(error)) from error
    if not stream.eof:
        if len(plain) >= MAX_INFLATED_BYTES:
            raise MalformedMessage("too_large", f"inflates to more than {MAX_INFLATED_BYTES} bytes")
        raise MalformedMessage("bad_deflate", "the stream ends early")
    return plain


def decode(body: bytes) -> Envelope:
    """Read a body from the wire, deflated or not.

    Raises:
        MalformedMessage: with a reason of `REASONS`; the message as a whole is unusable.
    """
    if len(body) > MAX_WIRE_BYTES:
        raise MalformedMessage("too_large", f"{len(body)} bytes")
    parsed = parse_json(inflate(body) if is_deflated(body) else body)
    check_schema(parsed, SCHEMA, "message")
    blocks = parsed.get("blocks")
    if not isinstance(blocks, list):
        raise MalformedMessage("bad_envelope", "blocks is not a list")
    if len(blocks) > MAX_ROWS:
        raise MalformedMessage("too_large", f"{len(blocks)} blocks, more than {MAX_ROWS}")
    return Envelope(
        gateway=_gateway(parsed),
        id=_message_id(parsed),
        blocks=tuple(_raw_block(block) for block in blocks),
    )


def _gateway(parsed: Mapping[str, Any]) -> str:
    gateway = parsed.get("gateway")
    if not isinstance(gateway, str) or not is_gateway_id(gateway):
        raise MalformedMessage("bad_envelope", "gateway is not an id")
    return gateway


def _message_id(parsed: Mapping[str, Any]) -> MessageId:
    epoch, seq = parsed.get("epoch"), parsed.get("seq")
    if type(epoch) is not str or type(seq) is not int:
        raise MalformedMessage("bad_envelope", "epoch or seq is missing or of the wrong type")
    try:
        return MessageId(epoch=epoch, seq=seq)
    except ValueError as error:
        raise MalformedMessage("bad_envelope", str(error)) from error


def _raw_block(block: object) -> RawBlock:
    if not isinstance(block, dict):
        raise MalformedMessage("bad_envelope", "a block is not an object")
    medium, quantities, rows = block.get("medium"), block.get("quantities"), block.get("rows")
    if not isinstance(medium, str) or not isinstance(rows, list):
        raise MalformedMessage("bad_envelope", "a block lacks its medium or rows")
    return RawBlock(medium=medium, quantities=_columns(quantities), rows=rows)


def _columns(quantities: object) -> tuple[str, ...]:
    if not isinstance(quantities, list) or not all(isinstance(name, str) for name in quantities):
        raise MalformedMessage("bad_envelope", "quantities is not a list of names")
    if len(quantities) > MAX_COLUMNS:
        raise MalformedMessage("too_large", f"{len(quantities)} columns, more than {MAX_COLUMNS}")
    if len(set(quantities)) != len(quantities):
        raise MalformedMessage("bad_envelope", "a quantity stands twice in a block")
    return tuple(quantities)


#: Names of the MQTT 5 user properties of a data message.
PROPERTY_EPOCH = "epoch"
PROPERTY_SEQ = "seq"
PROPERTY_ROWS = "rows"
PROPERTY_BACKLOG = "backlog"
PROPERTY_ENCODING = "encoding"


@dataclass(frozen=True, slots=True)
class Tag:
    """The user properties of a data message, readable even where its body is not.

    Attributes:
        rows: Row count, so that an undecodable message can still be acknowledged in rows.
    """

    id: MessageId
    rows: int


def to_properties(tag: Tag, *, backlog: bool, deflated: bool) -> list[tuple[str, str]]:
    """Return the MQTT 5 user properties that travel with a data message."""
    return [
        (PROPERTY_EPOCH, tag.id.epoch),
        (PROPERTY_SEQ, str(tag.id.seq)),
        (PROPERTY_ROWS, str(tag.rows)),
        (PROPERTY_BACKLOG, "1" if backlog else "0"),
        (PROPERTY_ENCODING, "deflate" if deflated else "identity"),
    ]


#: A number as we write it: no sign, no space, no leading zero, no digits of other scripts, as `int` takes.
_NUMBER = re.compile("0|[1-9][0-9]{0,12}")


def maybe_tag(properties: Sequence[tuple[str, str]]) -> Tag | None:
    """Read the user properties; `None` where epoch, seq or rows is missing or unreadable."""
    found = dict(properties)
    seq, rows = found.get(PROPERTY_SEQ, ""), found.get(PROPERTY_ROWS, "")
    if not _NUMBER.fullmatch(seq) or not _NUMBER.fullmatch(rows) or int(rows) > MAX_ROWS:
        return None
    try:
        message_id = MessageId(epoch=found.get(PROPERTY_EPOCH, ""), seq=int(seq))
    except ValueError:
        return None
    return Tag(id=message_id, rows=int(rows))
