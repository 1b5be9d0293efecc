"""Nothing is lost: every program and server is killed while data flows, again and again.

Each meter's counter rises by one step per answer (`tests.peers.counting_meter`), and each row that the gateway
accepted is logged and fsynced after the outbox had it. When all is quiet, every accepted row is in InfluxDB
under exactly one series and time. The one exception is stated and bounded: with durability `memory`, rows younger
than `spill_after` + 2 s when the gateway is killed.
"""

import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.peers.counting_meter import CountingMeters, counting_meters
from tests.system.chain import Chain, chain, wait_until

METERS = 10
GATEWAY = "gw-1"
SPILL_AFTER_S = 3.0
#: What may be lost with durability `memory`: rows younger than this at a gateway's kill.
YOUNG_MS = round((SPILL_AFTER_S + 2) * 1000)

Row = tuple[str, int]


@dataclass
class Storm:
    """Kills the parts of a chain in turn, at random moments, and restarts them."""

    chain: Chain
    rng: random.Random
    gateway_kills_ms: list[int] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    def round(self) -> None:
        """Kill each part once, in random order, sometimes while another is down."""
        parts: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "broker": (self.chain.broker.kill, self.chain.broker.start),
            "influx": (self.chain.influx.kill, self.chain.influx.start),
            "ingest": (self.chain.programs["ingest"].kill, self.chain.programs["ingest"].start),
            "gateway": (self._kill_gateway, self.chain.programs[GATEWAY].start),
        }
        order = self.rng.sample(sorted(parts), len(parts))
        for first, second in itertools.pairwise(order):
            self._kill(first, parts[first][0])
            if self.rng.random() < 0.5:
                self._kill(second, parts[second][0])
                parts[second][1]()
            parts[first][1]()
        self._kill(order[-1], parts[order[-1]][0])
        parts[order[-1]][1]()

    def _kill(self, name: str, kill: Callable[[], object]) -> None:
        time.sleep(self.rng.uniform(0.5, 3.0))
        kill()
        self.kills[name] += 1
        time.sleep(self.rng.uniform(0.1, 2.0))

    def _kill_gateway(self) -> None:
        self.chain.programs[GATEWAY].kill()
        self.gateway_kills_ms.append(time.time_ns() // 1_000_000)

    def excuses(self, row: Row) -> bool:
        """Tell whether the row was young when a gateway was killed."""
        return any(killed - YOUNG_MS <= row[1] <= killed for killed in self.gateway_kills_ms)


def prepare(folder: Path, park: Chain, meters: CountingMeters, durability: str) -> Path:
    """Write the configuration and start the programs; gives the log of accepted rows."""
    ids = [f"m-{unit}" for unit in range(1, METERS + 1)]
    park.write_park({meter: {"medium": "electricity", "place": "z1"} for meter in ids})
    park.write_ingest()
    park.write_gateway(
        GATEWAY,
        buses={"tcp": {"tcp": f"127.0.0.1:{meters.port}", "timeout_s": 1}},
        meters=[
            {"id": meter, "model": "eastron-sdm120", "bus": "tcp", "address": unit, "poll_s": 1}
            for unit, meter in enumerate(ids, 1)
        ],
        durability=durability,
        spill_after_s=SPILL_AFTER_S,
    )
    accepted = folder / "accepted.log"
    park.start_ingest()
    park.start_gateway(GATEWAY, "--accepted-log", str(accepted))
    return accepted


def read_accepted(log: Path) -> Iterator[Row]:
    """Yield (meter, taken_at_ms) of the complete lines `epoch seq meter taken_at_ms`."""
    if log.exists():
        text = log.read_text(encoding="utf-8")
        for line in text[: text.rfind("\n") + 1].splitlines():
            _epoch, _seq, meter, taken_at_ms = line.split()
            yield meter, int(taken_at_ms)


def missing(park: Chain, log: Path) -> set[Row]:
    """Return the accepted rows that InfluxDB does not have."""
    return set(read_accepted(log)) - set(park.rows("electricity"))


def lose_nothing(folder: Path, durability: str, *, seed: int, storm_s: float) -> None:
    """Run the storm, then account for every row.

    Raises:
        AssertionError: when a row is missing without excuse, or stored twice.
    """
    with counting_meters() as meters, chain(folder) as park:
        accepted = prepare(folder, park, meters, durability)
        wait_until("the first rows are stored", lambda: len(park.rows("electricity")) > METERS)
        storm = Storm(park, random.Random(seed))
        end = time.monotonic() + storm_s
        while time.monotonic() < end:
            storm.round()

        meters.mute = True
        excused = storm.excuses if durability == "memory" else (lambda _row: False)
        wait_until(
            "every accepted row is stored",
            lambda: all(excused(row) for row in missing(park, accepted)),
            timeout_s=120,
        )
        lost = missing(park, accepted)
        print(f"{durability}: seed {seed}, kills {dict(storm.kills)}")
        print(f"{len(set(read_accepted(accepted)))} rows accepted, {len(lost)} of them lost in memory")
        assert len(lost) <= len(storm.gateway_kills_ms) * METERS * (YOUNG_MS // 1000 + 1)
        assert max(Counter(park.rows("electricity")).values()) == 1
        assert park.programs[GATEWAY].stop() == 0
        assert park.programs["ingest"].stop() == 0


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.parametrize("durability", ["memory", "always"])
def test_no_accepted_row_is_lost_while_everything_is_killed(tmp_path: Path, durability: str) -> None:
    lose_nothing(tmp_path, durability, seed=20261123, storm_s=60)


@pytest.mark.soak
@pytest.mark.skipif("ZONEWISE_SOAK_MINUTES" not in os.environ, reason="on demand: make soak")
@pytest.mark.parametrize("durability", ["memory", "always"])
def test_no_accepted_row_is_lost_for_longer(tmp_path: Path, durability: str) -> None:
    minutes = float(os.environ["ZONEWISE_SOAK_MINUTES"])
    lose_nothing(tmp_path, durability, seed=time.time_ns(), storm_s=30 * minutes)
