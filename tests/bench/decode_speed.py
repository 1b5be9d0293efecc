"""Registers to values: what decoding costs per value, over all models of the catalogue."""

from collections.abc import Iterator
from pathlib import Path

from edge.catalogue import models as catalogue
from edge.drivers.modbus.decode import Decoder
from edge.drivers.modbus.plan import Block
from tests.bench.devices import device
from tests.bench.figure import Bench, Figure
from tests.bench.processes import cpu_s

_POLLS = 300
_FIRST_MS = 1_790_000_000_000
_PERIOD_MS = 10_000

_Answers = list[dict[Block, bytes]]


def measure(_folder: Path) -> Iterator[Figure]:
    """Decode the same answers of each model again and again."""
    costs = {model: _cost_us(model) for model in catalogue.model_ids()}
    how = f"{_POLLS} different answers of each of {len(costs)} models, decoded in memory; processor time"
    yield Figure("Decode, mean of ten models", sum(costs.values()) / len(costs), "µs/value", how)
    slowest = max(costs, key=lambda model: costs[model])
    yield Figure(
        "Decode, dearest model",
        costs[slowest],
        "µs/value",
        f"the same, {slowest}; a poll costs something besides its values",
    )


def _cost_us(model: str) -> float:
    one = device(model, "m-1")
    answers = [dict(one.answers(_FIRST_MS + number * _PERIOD_MS)) for number in range(_POLLS)]
    values = _POLLS * len(one.decoder.quantities)
    return cpu_s(lambda: _decode(one.decoder, answers)) / values * 1e6


def _decode(decoder: Decoder, answers: _Answers) -> None:
    for answer in answers:
        decoder.decode(answer)


BENCH = Bench("decode", "registers to values", measure)
