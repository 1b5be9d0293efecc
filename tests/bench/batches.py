"""Readings and messages as gateways with many meters send them, for measurements of what comes after. Pure.

Digits are those of a real table with noise from seeded rng, so that they deflate as badly as real ones do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from edge.outbox.entry import Entry, seal
from metering.messages.data import Message, MessageId
from metering.quantities import VOCABULARY
from metering.readings import Reading, Row, RowBlock, Value
from tests.bench.devices import device

#: A three-phase meter with everything that it is asked for by default.
MODEL = "eastron-sdm630"
#: More than fit into the 32 KiB that deflate looks back.
_SHAPES = 997
_FIRST_MS = 1_790_000_000_000
_NOISE = 0.02


@dataclass(frozen=True, slots=True)
class Batch:
    """Sealed messages of one gateway and what is in them."""

    gateway: str
    entries: tuple[Entry, ...]
    rows: int
    values: int


def readings(meters: Sequence[str], instants_ms: Sequence[int]) -> list[Reading]:
    """Return a reading of each meter at each instant, in the order of time."""
    one = device(MODEL, "m-1")
    is_counter = [VOCABULARY[name].is_counter for name in one.decoder.quantities]
    shapes = list(_shapes(one.reading(_FIRST_MS).row.values, is_counter))
    medium, quantities = one.profile.medium, one.decoder.quantities
    return [
        Reading(medium, quantities, Row(meter, instant_ms, 0, shapes[(number * 101 + place) % _SHAPES]))
        for number, instant_ms in enumerate(instants_ms)
        for place, meter in enumerate(meters)
    ]


def _shapes(values: Sequence[Value], is_counter: Sequence[bool]) -> Iterator[tuple[Value, ...]]:
    rng = Random(7)
    for _ in range(_SHAPES):
        yield tuple(
            value if value is None else _varied(value, rng, is_counter=counts)
            for value, counts in zip(values, is_counter, strict=True)
        )


def _varied(value: float, rng: Random, *, is_counter: bool) -> Value:
    noisy = value * (1 + rng.uniform(-_NOISE, 0))
    return round(noisy) if is_counter else float(f"{noisy:.7g}")


def batch(gateway: str, epoch: str, polls: Sequence[Reading], *, rows_per_message: int) -> Batch:
    """Seal readings, which share their columns, as one gateway's messages from seq 1 on."""
    medium, quantities = polls[0].medium, polls[0].quantities
    parts = (polls[first : first + rows_per_message] for first in range(0, len(polls), rows_per_message))
    blocks = (RowBlock(medium, quantities, tuple(one.row for one in part)) for part in parts)
    entries = tuple(
        seal(Message(gateway, MessageId(epoch, seq), (block,))) for seq, block in enumerate(blocks, 1)
    )
    return Batch(gateway, entries, len(polls), len(polls) * len(quantities))
