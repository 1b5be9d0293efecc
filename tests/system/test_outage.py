"""InfluxDB is away under full load: memory stays bounded on both sides, nobody storms, nothing is lost."""

import time
from pathlib import Path

import pytest

from tests.peers.counting_meter import counting_meters
from tests.system.chain import PARK, Chain, Program, chain, wait_until

METERS = 40
POLL_S = 0.1
OUTAGE_S = 120
#: Above what a program needs anyway; 8 MB is the gateway's memory for messages.
MAX_GROWTH_MB = 24
#: The window holds 64 messages; each may be sent again now and then while nobody acknowledges.
MAX_RESENT = 64 * 10


def resident_mb(program: Program) -> float:
    """Return the memory that a program holds (VmRSS)."""
    assert program.process is not None
    status = Path(f"/proc/{program.process.pid}/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def counter(park: Chain, name: str) -> int:
    """Return a gateway's latest total from `gateway_status`."""
    found = park.query(f"{PARK}_rollup", f'SELECT last("{name}") FROM "gateway_status"')
    return int(found[0]["values"][0][1]) if found else 0


def highest_counter(park: Chain, name: str) -> int:
    """Return the highest total that a gateway has ever reported; a restart begins from 0 again."""
    (found,) = park.query(f"{PARK}_rollup", f'SELECT max("{name}") FROM "gateway_status"')
    return int(found["values"][0][1])


def newest_ms(park: Chain) -> int:
    """Return the time of the newest raw row."""
    return max((taken_at_ms for _, taken_at_ms in park.rows("electricity")), default=0)


@pytest.mark.servers
@pytest.mark.slow
def test_an_outage_of_the_database_costs_time_and_nothing_else(tmp_path: Path) -> None:
    with counting_meters() as meters, chain(tmp_path) as park:
        ids = [f"m-{unit}" for unit in range(1, METERS + 1)]
        park.write_park({meter: {"medium": "electricity", "place": "z1"} for meter in ids})
        park.write_ingest()
        park.write_gateway(
            "gw-1",
            buses={"tcp": {"tcp": f"127.0.0.1:{meters.port}"}},
            meters=[
                {"id": meter, "model": "eastron-sdm120", "bus": "tcp", "address": unit, "poll_s": POLL_S}
                for unit, meter in enumerate(ids, 1)
            ],
        )
        ingest, gateway = park.start_ingest(), park.start_gateway("gw-1")
        wait_until("rows flow", lambda: len(park.rows("electricity")) > 10 * METERS)
        before = {"ingest": resident_mb(ingest), "gateway": resident_mb(gateway)}

        park.influx.kill()
        highest = dict(before)
        end = time.monotonic() + OUTAGE_S
        while time.monotonic() < end:
            time.sleep(1)
            highest["ingest"] = max(highest["ingest"], resident_mb(ingest))
            highest["gateway"] = max(highest["gateway"], resident_mb(gateway))
        park.influx.start()
        back_ms = time.time_ns() // 1_000_000

        wait_until("live data is back", lambda: newest_ms(park) > back_ms, timeout_s=15)
        print(f"live again after {newest_ms(park) - back_ms} ms; memory {before} -> {highest} MB")
        assert {name: highest[name] - before[name] < MAX_GROWTH_MB for name in before} == {
            "ingest": True,
            "gateway": True,
        }
        # Live data has its quarter of the window; let the backlog drain before the end is counted.
        meters.mute = True
        assert gateway.stop() == 0
        gateway.start()
        wait_until(
            "the gateway holds nothing",
            lambda: counter(park, "online") == 1 and counter(park, "held") == 0,
            timeout_s=120,
        )
        resent = highest_counter(park, "messages_resent")
        print(f"{resent} messages resent")
        assert resent < MAX_RESENT
        answered = sum(meters.counts.values())
        wait_until("every row is stored", lambda: len(park.rows("electricity")) >= answered - METERS)
        assert counter(park, "dropped") == 0
