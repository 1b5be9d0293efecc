"""What mute meters cost the others, and how a whole gateway uses a serial line.

A real gateway process polls a pty line of 9600 Bd; what it asked and got is taken from the line's own log.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from edge.catalogue import models as catalogue
from edge.drivers.line_timing import LineTiming
from tests.bench.bus_use import BAUD, PARITY, STOP_BITS, needed_s
from tests.bench.devices import device
from tests.bench.figure import Bench, Figure
from tests.bench.lines import SimulatedLine, Unit, serving
from tests.bench.site import meter_entry
from tests.system.chain import Chain, chain, wait_until

_METERS = 20
_MUTE = (4, 11, 18)
_BUSY = 0.8
_FOR_S = 45.0
_BUSY_FOR_S = 20.0
_SETTLE_S = 10.0
_GATEWAY = "gw-1"


@dataclass(frozen=True, slots=True)
class _Asked:
    """An answered request in the log of the line."""

    unit: int
    count: int


def measure(folder: Path) -> Iterator[Figure]:
    """Poll twenty meters of which three are mute; then twenty good ones with polls always due."""
    units = _units()
    cycle_s = sum(_poll_s(one) for one in units)
    good = [one for one in units if one.unit not in _MUTE]
    with chain(folder) as one:
        period_s = round(cycle_s / _BUSY, 1)
        asked = _run(one, units, good, period_s, _FOR_S)
        polls = _polls(asked, good)
        due = _FOR_S / period_s
        how = (
            f"real gateway, pty of {BAUD} Bd, period {period_s:g} s at which {_METERS} good meters fill {_BUSY:.0%} of "
            f"the line; polls answered to each of {len(good)} over those due in {_FOR_S:g} s"
        )
        mean = sum(min(1.0, polls[meter.unit] / due) for meter in good) / len(good)
        yield Figure("Poll rate beside 3 mute of 20", 100 * mean, "%", f"{how}; mean", ">= 90 %")
        asked = _run(one, units, units, 1.0, _BUSY_FOR_S)
        busy_s = sum(needed_s(one_asked.count, BAUD, _answer_s(units, one_asked)) for one_asked in asked)
        how = f"real gateway, {_METERS} meters of ten models, period 1 s: polls always due; {len(asked)} requests"
        yield Figure("Bus use, whole gateway, 9600 Bd", 100 * busy_s / _BUSY_FOR_S, "%", how, ">= 95 %")


def _units() -> tuple[Unit, ...]:
    models = catalogue.model_ids()
    return tuple(
        Unit(number, models[number % len(models)], f"m-{number}") for number in range(1, _METERS + 1)
    )


def _poll_s(one: Unit) -> float:
    line = LineTiming.serial(baud=BAUD, parity=PARITY, stop_bits=STOP_BITS)
    planned = device(one.model, one.meter, line=line)
    return sum(needed_s(block.count, BAUD, planned.profile.answer_delay_s) for block in planned.blocks)


def _answer_s(units: Sequence[Unit], asked: _Asked) -> float:
    model = next(one.model for one in units if one.unit == asked.unit)
    return catalogue.load(model).answer_delay_s


def _run(
    one: Chain, units: Sequence[Unit], present: Sequence[Unit], period_s: float, for_s: float
) -> list[_Asked]:
    """Let a gateway poll for a while; gives what was answered in it, the beginning left out."""
    link, log = one.folder / "line", one.folder / f"answers-{period_s:g}"
    bus = {"serial": str(link), "baud": BAUD, "parity": PARITY, "stop_bits": STOP_BITS, "timeout_s": 0.5}
    meters = [meter_entry(unit, "line", period_s) for unit in units]
    one.write_gateway(_GATEWAY, buses={"line": bus}, meters=meters)
    with serving([SimulatedLine(tuple(present), link, baud=BAUD, maybe_log=log)]):
        gateway = one.start_gateway(_GATEWAY)
        wait_until(
            "every good meter has answered",
            lambda: min(_polls(_read(log), present).values()) >= 1,
            timeout_s=90,
        )
        time.sleep(_SETTLE_S)
        before = len(_read(log))
        time.sleep(for_s)
        asked = _read(log)[before:]
        gateway.stop()
    return asked


def _read(log: Path) -> list[_Asked]:
    entries = (orjson.loads(line) for line in log.read_bytes().splitlines())
    return [_Asked(entry["unit"], entry["count"]) for entry in entries if entry["outcome"] == "answered"]


def _polls(asked: Sequence[_Asked], units: Sequence[Unit]) -> dict[int, float]:
    """Return polls by unit: its answered requests over its blocks."""
    line = LineTiming.serial(baud=BAUD, parity=PARITY, stop_bits=STOP_BITS)
    requests = Counter(one.unit for one in asked)
    return {
        one.unit: requests[one.unit] / len(device(one.model, one.meter, line=line).blocks) for one in units
    }


BENCH = Bench("mute", "a real gateway on a serial line with mute meters", measure)
