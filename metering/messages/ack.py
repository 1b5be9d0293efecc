"""The acknowledgement (ingest -> gateway): what is safe, row by row.

A message is acknowledged when it is fsynced in the journal and each of its rows is written to InfluxDB or
entered in the quarantine. `seqs` are inclusive ranges of one epoch. A gateway ignores epochs that it does not
hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from metering.errors import MalformedMessage
from metering.messages.data import SCHEMA, MessageId
from metering.messages.json_body import check_schema, parse_json, text, whole
from metering.names import is_epoch


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Rows of one message that were set aside instead of stored."""

    seq: int
    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class EpochAck:
    """What is safe of one epoch.

    Attributes:
        epoch: 16 hex digits.
        seqs: Inclusive ranges `(first, last)`, ascending, not touching.
        rows_stored: Rows of these messages that are in InfluxDB.
        quarantined: Rows of these messages that are in the quarantine instead.
    """

    epoch: str
    seqs: tuple[tuple[int, int], ...]
    rows_stored: int
    quarantined: tuple[Quarantined, ...] = ()

    def __post_init__(self) -> None:
        if not is_epoch(self.epoch):
            raise ValueError(f"epoch {self.epoch!r} is not 16 hex digits")
        if any(not 1 <= first <= last for first, last in self.seqs):
            raise ValueError(f"bad range in {self.seqs}")


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledgement message; `time_ms` is ingest's clock, which helps gateways without NTP."""

    time_ms: int
    acks: tuple[EpochAck, ...]


def to_ranges(seqs: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return ascending inclusive ranges that cover exactly the numbers."""
    ranges: list[tuple[int, int]] = []
    for seq in sorted(set(seqs)):
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return tuple(ranges)


def covers(ack: EpochAck, message: MessageId) -> bool:
    """Tell whether the message is acknowledged by it."""
    return ack.epoch == message.epoch and any(first <= message.seq <= last for first, last in ack.seqs)


def encode(ack: Ack) -> bytes:
    """Return the JSON body."""
    return orjson.dumps({"schema": SCHEMA, "time_ms": ack.time_ms, "acks": [_object(a) for a in ack.acks]})


def _object(ack: EpochAck) -> dict[str, Any]:
    return {
        "epoch": ack.epoch,
        "seqs": ack.seqs,
        "rows_stored": ack.rows_stored,
        "quarantined": [(q.seq, q.rows, q.reason) for q in ack.quarantined],
    }


def decode(body: bytes) -> Ack:
    """Read the JSON body.

    Raises:
        MalformedMessage: when it is not an acknowledgement of schema 1.
    """
    parsed = parse_json(body)
    check_schema(parsed, SCHEMA, "ack")
    try:
        return Ack(time_ms=whole(parsed["time_ms"]), acks=tuple(_epoch_ack(one) for one in parsed["acks"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise MalformedMessage("bad_envelope", f"ack: {error}") from error


def _epoch_ack(parsed: Mapping[str, Any]) -> EpochAck:
    return EpochAck(
        epoch=text(parsed["epoch"]),
        seqs=tuple((whole(first), whole(last)) for first, last in parsed["seqs"]),
        rows_stored=whole(parsed["rows_stored"]),
        quarantined=tuple(Quarantined(whole(s), whole(n), text(why)) for s, n, why in parsed["quarantined"]),
    )
