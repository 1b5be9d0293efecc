"""What the rollup costs: everything at once, and every ten seconds.

Raw data are written straight to InfluxDB, as ingest would have left them; the rollup is the program itself for
whole recomputes (its first run over a raw database), and its two steps in this process for the live costs.
"""

import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.rollup.job import Rollup
from ingest.rollup.live import LiveFigures
from ingest.rollup.series.facts import read_facts
from ingest.store.contract import Store
from ingest.store.influx import open_store
from ingest.store.line_protocol import RowEncoder
from ingest.store.settings import Flavour, StoreConfig
from ingest.validation.announcements import Announcement, encode_announcement
from metering.messages.birth import MeterFacts
from metering.park.file import load_park
from metering.park.model import Park
from metering.quantities import Medium
from metering.series import LIVE_MS, SLOT_MS, raw_database
from tests.bench.figure import Bench, Figure
from tests.bench.processes import usage
from tests.system.chain import Chain, chain

_QUANTITIES = ("energy_import_wh", "energy_export_wh", "active_power_w", "voltage_l1_v")
_DAY_MS = 86_400_000
_POLL_MS = 10_000
_LINES = 5000
#: After a slot's end, until its bounding reads are surely there.
_GRACE_MS = 120_000
#: The year is measured over this part of it.
_YEAR_SHARE = 5


@dataclass(frozen=True, slots=True)
class _History:
    """Raw data of a park: meters and the instants at which each was read."""

    park: str
    meters: int
    instants_ms: range

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the meters."""
        return tuple(f"m-{number}" for number in range(self.meters))


@dataclass(frozen=True, slots=True)
class _Whole:
    """A run of the program over a whole raw database."""

    rows: int
    took_s: float
    cpu_s: float
    influx_s: float

    @property
    def how(self) -> str:
        """What was rolled up."""
        return f"{self.rows:,} raw rows, nothing derived before, start of the program included"

    @property
    def beside(self) -> str:
        """What the program's own time leaves out."""
        return f"processor time of the program; InfluxDB needed {self.influx_s:.1f} s in the same run"


def measure(folder: Path) -> Iterator[Figure]:
    """Go on by one slot with many meters; then whole parks, the demo's first."""
    end_ms = time.time_ns() // 1_000_000 // _DAY_MS * _DAY_MS
    demo = _History("demo", 40, range(end_ms - 60 * _DAY_MS, end_ms + 1, 300_000))
    year = _History("year", 50, range(end_ms - 365 // _YEAR_SHARE * _DAY_MS, end_ms + 1, SLOT_MS))
    live = _History("live", 5000, range(end_ms - SLOT_MS, end_ms + _GRACE_MS, _POLL_MS))
    with chain(folder) as one:
        one.write_ingest()
        for history in (demo, year, live):
            _describe(one, history)
        one.run("zonewise-ingest", "init", "--config", "ingest.yaml")
        store = open_store(StoreConfig(flavour=Flavour.ONE, url=one.influx.url))
        _fill(store, demo)
        whole = _whole(one, demo)
        yield Figure("Rollup, 60 days of 40 meters", whole.took_s, "s", f"{whole.how} (reads every 5 min)")
        yield Figure("  its own processor time", whole.cpu_s, "CPU-s", whole.beside)
        _fill(store, live)
        yield from _live(store, load_park(folder / "parks" / "live.yaml"), live, end_ms)
        _fill(store, year)
        part = _whole(one, year)
        times = (
            f"{_YEAR_SHARE} times {part.how} (reads every 15 min); the target presumes kept boundary counters"
        )
        yield Figure("Rollup, a year of 50 meters", _YEAR_SHARE * part.took_s, "s", times, "<= 15 s")
        yield Figure("  its own processor time", _YEAR_SHARE * part.cpu_s, "CPU-s", part.beside)
        store.close()


def _describe(one: Chain, history: _History) -> None:
    """Two zones, in each one main meter that feeds all others."""
    meters: dict[str, object] = {}
    for number, name in enumerate(history.names):
        zone = number % 2
        feeder = {} if number < len(("z1", "z2")) else {"fed_by": f"m-{zone}"}
        place = [{"zone": f"z{zone + 1}"}]
        meters[name] = {"name": name, "medium": "electricity", "place": place, "gateway": "gw-1", **feeder}
    one.write_park(meters, name=history.park)


def _fill(store: Store, history: _History) -> None:
    facts = MeterFacts("eastron-sdm630", "bench", Medium.ELECTRICITY, _POLL_MS / 1000)
    births = [
        Announcement("gw-1", name, history.instants_ms[0], facts, is_first=True) for name in history.names
    ]
    lines = [encode_announcement(history.park, birth) for birth in births]
    store.write(raw_database(history.park), b"\n".join(lines))
    _write_rows(store, history)


def _write_rows(store: Store, history: _History) -> None:
    encoder = RowEncoder(Medium.ELECTRICITY, history.park, _QUANTITIES)
    pending: list[bytes] = []
    for instant_ms in history.instants_ms:
        pending += [
            encoder.encode(name, instant_ms, 0, _values(number, instant_ms))
            for number, name in enumerate(history.names)
        ]
        if len(pending) >= _LINES or instant_ms == history.instants_ms[-1]:
            store.write(raw_database(history.park), b"\n".join(pending))
            pending.clear()


def _values(number: int, instant_ms: int) -> tuple[float, ...]:
    power_w = 1000.0 + 97 * number + instant_ms // LIVE_MS % 800
    return (float(instant_ms // 1000 % 10**9 * (number + 1) // 3), 0.0, power_w, 230.1 + number / 10)


def _whole(one: Chain, history: _History) -> _Whole:
    before_s = _children_s()
    influx_before_s = usage(one.influx.pid).cpu_s
    started_s = time.monotonic()
    one.run("zonewise-ingest", "rollup", "--config", "ingest.yaml", "--park", history.park, "--once")
    return _Whole(
        rows=history.meters * len(history.instants_ms),
        took_s=time.monotonic() - started_s,
        cpu_s=_children_s() - before_s,
        influx_s=usage(one.influx.pid).cpu_s - influx_before_s,
    )


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _live(store: Store, park: Park, history: _History, end_ms: int) -> Iterator[Figure]:
    """Go on by one slot of 10-s rows, as the running service does."""
    rollup = Rollup(store, park)
    rollup.cycle(end_ms + _GRACE_MS)
    following = _History(
        park.id, history.meters, range(end_ms + _GRACE_MS, end_ms + SLOT_MS + _GRACE_MS, _POLL_MS)
    )
    _write_rows(store, following)
    now_ms = end_ms + SLOT_MS + _GRACE_MS
    started_s = time.process_time()
    written = rollup.cycle(now_ms).meters.written
    slot_s = time.process_time() - started_s
    if written != history.meters:
        raise ValueError(f"{written} slots of {history.meters} meters written: not the cycle that was meant")
    idle_s = _cpu_s(lambda: rollup.cycle(now_ms))
    facts = read_facts(store, park)
    figures = LiveFigures(store, park)
    figures.write(facts, now_ms - LIVE_MS)
    live_s = _cpu_s(lambda: figures.write(facts, now_ms))
    meters = f"{history.meters:,} meters at 10 s; processor time of the rollup"
    yield Figure("Rollup, cycle at a slot's end", slot_s * 1000, "CPU-ms", f"{meters}, once in 15 min")
    yield Figure("Rollup, cycle with nothing due", idle_s * 1000, "CPU-ms", f"{meters}, each 10 s")
    yield Figure("Rollup, live figures", live_s * 1000, "CPU-ms", f"{meters}, each 10 s")
    share = slot_s / (SLOT_MS / 1000) + (idle_s + live_s) / (LIVE_MS / 1000)
    how = f"{meters}: the three together"
    yield Figure("Rollup of 5,000 meters, running", 100 * share, "% of one core", how, "<= 10 % of one core")


def _cpu_s(step: Callable[[], object]) -> float:
    started_s = time.process_time()
    step()
    return time.process_time() - started_s


BENCH = Bench("rollup", "raw readings to quarter-hours and live figures", measure)
