"""Readings to messages: assembling, encoding and deflating, as a gateway does; and judging, as ingest does."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from edge.batching.assembler import Assembler
from edge.outbox.entry import Entry, seal
from ingest.journal.segments import Record
from ingest.store.line_protocol import RowEncoder
from ingest.validation.messages import MessageValidator
from ingest.validation.registry import Registry
from metering.messages import topics
from metering.messages.data import inflate, to_properties
from metering.park.model import Park
from metering.readings import Reading
from tests.bench.batches import readings
from tests.bench.figure import Bench, Figure
from tests.bench.processes import cpu_s

_EPOCH = "00000000000000b1"
_METERS = [f"m-{number}" for number in range(100)]
_ROUNDS = 30
_ROWS = len(_METERS) * _ROUNDS
_END_MS = 1_790_000_000_000
_PARK = Park("bench", "Bench", ZoneInfo("UTC"), zones={}, buildings={}, tenants={}, meters={})


def measure(_folder: Path) -> Iterator[Figure]:
    """Carry the same readings through each step by itself, in memory."""
    polls = readings(_METERS, range(_END_MS - _ROUNDS * 10_000, _END_MS, 10_000))
    values = _ROWS * len(polls[0].quantities)
    how = f"{_ROWS:,} rows of {len(polls[0].quantities)} values in memory, messages up to 64 KiB; processor time"
    sealed_s = cpu_s(lambda: _seal(polls))
    yield Figure("Assemble, encode and deflate", sealed_s / values * 1e6, "µs/value", how)
    entries = _seal(polls)
    size = sum(len(entry.body) for entry in entries)
    yield Figure("Wire size, deflated", size / _ROWS, "B/row", "the same messages")
    plain = sum(len(inflate(entry.body)) for entry in entries)
    yield Figure("Wire size, plain JSON", plain / _ROWS, "B/row", "the same messages")
    records = [_record(entry) for entry in entries]
    judged_s = cpu_s(lambda: _validate(records))
    yield Figure(
        "Inflate, decode, judge, encode", values / judged_s, "values/s", f"ingest's pure part; {how}"
    )
    encoder = RowEncoder(polls[0].medium, _PARK.id, polls[0].quantities)
    lines_s = cpu_s(lambda: [_line(encoder, one) for one in polls])
    yield Figure("Line protocol alone", values / lines_s, "values/s", f"`RowEncoder`; {how}")


def _seal(polls: Sequence[Reading]) -> list[Entry]:
    assembler = Assembler(gateway="gw-1", epoch=_EPOCH)
    messages = [message for one in polls for message in assembler.add(one, now_s=0.0)]
    maybe_last = assembler.flush()
    return [seal(message) for message in (*messages, maybe_last) if message is not None]


def _record(entry: Entry) -> Record:
    properties = to_properties(entry.tag, backlog=False, deflated=entry.is_deflated)
    return Record(topics.data(_PARK.id, "gw-1"), _END_MS, tuple(properties), entry.body)


def _validate(records: Sequence[Record]) -> None:
    validator = MessageValidator(_PARK, Registry(_PARK))
    for record in records:
        validator.validate(record)


def _line(encoder: RowEncoder, one: Reading) -> bytes:
    row = one.row
    return encoder.encode(row.meter, row.taken_at_ms, row.quality, row.values)


BENCH = Bench("messages", "readings to messages to line protocol", measure)
