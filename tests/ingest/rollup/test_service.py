"""`zonewise-ingest rollup` as a user runs it, and what it does while InfluxDB is away."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ingest.errors import ClockDoubted
from ingest.rollup.service import Service
from metering.errors import ConfigError
from metering.park.folder import ParkFolder
from metering.quantities import Medium
from metering.series import raw_database
from simulators.demo.servers import Influx, free_port
from tests.peers.memory_store import MemoryStore
from tests.peers.small_park import HOUR, MINUTE, T0, SmallPark, small_park, small_park_in
from tests.system.chain import wait_until

INGEST = Path(sys.executable).parent / "zonewise-ingest"
IMPORT = "energy_import_wh"


def filled(park: SmallPark) -> SmallPark:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    park.write("electricity", "main", [(m * MINUTE, {IMPORT: 1000.0 + 10 * m}) for m in range(61)])
    return park


def configured(folder: Path, influx: Influx) -> Path:
    path = folder / "ingest.yaml"
    store = {"flavour": 1, "url": influx.url}
    config = {"broker": {"host": "127.0.0.1"}, "store": store, "parks": "parks", "data": "data"}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@pytest.fixture
def parks(tmp_path: Path) -> Path:
    folder = tmp_path / "parks"
    folder.mkdir()
    return folder


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INGEST, "rollup", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.servers
def test_once_rolls_up_what_is_there_and_ends(tmp_path: Path, parks: Path, shared_influx: Influx) -> None:
    park = filled(small_park(parks, shared_influx))

    done = run("--config", configured(tmp_path, shared_influx), "--park", park.name, "--once")

    assert done.returncode == 0, done.stderr
    assert "slots of meters" in done.stderr
    values = park.values(IMPORT, meter="main")
    assert [values[slot] for slot in range(4)] == [150, 150, 150, 150]


@pytest.mark.servers
def test_an_unknown_park_and_a_bad_address_are_said(
    tmp_path: Path, parks: Path, shared_influx: Influx
) -> None:
    park = small_park(parks, shared_influx)
    config = configured(tmp_path, shared_influx)

    unknown = run("--config", config, "--park", park.name + "x", "--once")
    assert unknown.returncode == 2
    assert f"describes no park '{park.name}x'; did you mean '{park.name}'?" in unknown.stderr
    assert "Traceback" not in unknown.stderr

    address = run("--config", config, "--park", park.name, "--http", "here")
    assert address.returncode == 2
    assert "'here' is not host:port" in address.stderr


@pytest.mark.servers
def test_a_missing_database_fails_once_with_a_hint(
    tmp_path: Path, parks: Path, shared_influx: Influx
) -> None:
    park = small_park(parks, shared_influx)
    park.store.query("", f'DROP DATABASE "{raw_database(park.name)}"')

    done = run("--config", configured(tmp_path, shared_influx), "--park", park.name, "--once")

    assert done.returncode == 1
    assert "database not found" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.servers
def test_the_process_serves_pages_and_stops_when_told(
    tmp_path: Path, parks: Path, shared_influx: Influx
) -> None:
    park = filled(small_park(parks, shared_influx))
    port = free_port()
    command = [INGEST, "rollup", "--config", configured(tmp_path, shared_influx), "--park", park.name]
    with subprocess.Popen([*command, "--http", f"127.0.0.1:{port}"], stderr=subprocess.PIPE) as process:
        wait_until("slots are published", lambda: park.points("meter_15m", meter="main"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            assert b'"good":true' in answer.read()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert b"zonewise_rollup_points_published_total" in answer.read()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def service(park: SmallPark, parks: Path) -> Service:
    return Service(
        park.store,
        park.park,
        ParkFolder(parks, park.name),
        clock_ms=lambda: T0 + HOUR + 20_000,
        jitter=lambda: 0.0,
    )


async def until(what: str, condition: Callable[[], object]) -> None:
    """Wait beside the service's loop."""
    await asyncio.to_thread(wait_until, what, condition)


@pytest.mark.servers
async def test_while_influxdb_is_away_it_waits_and_then_goes_on(parks: Path, influx: Influx) -> None:
    park = filled(small_park(parks, influx))
    influx.kill()
    running, stop = service(park, parks), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(running.run(stop), name="service")
        await until("both tasks are in trouble", lambda: len(running.health.troubles) == 2)
        assert not running.health.is_good
        await asyncio.to_thread(influx.start)
        await until("slots are published", lambda: running.health.published)
        await until("all is well", lambda: running.health.is_good)
        stop.set()

    assert park.values(IMPORT, meter="main")[3] == 150


@pytest.mark.servers
async def test_while_the_clock_is_in_doubt_nothing_is_written(parks: Path, shared_influx: Influx) -> None:
    park, stop = filled(small_park(parks, shared_influx)), asyncio.Event()
    doubts = [True]

    def now_ms() -> int:
        if doubts:
            raise ClockDoubted("the clock was set back")
        return T0 + HOUR + 20_000

    running = Service(
        park.store, park.park, ParkFolder(parks, park.name), clock_ms=now_ms, jitter=lambda: 0.0
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(running.run(stop), name="service")
        await until("both tasks are in doubt", lambda: len(running.health.troubles) == 2)
        assert "set back" in str(running.health.troubles)
        assert (running.health.cycles, running.health.live_instants) == (0, 0)
        doubts.clear()
        await until("slots are published", lambda: running.health.published)
        await until("all is well", lambda: running.health.is_good)
        stop.set()


@pytest.mark.servers
async def test_a_faulty_edit_is_reported_and_the_last_good_park_goes_on(
    parks: Path, shared_influx: Influx
) -> None:
    park = filled(small_park(parks, shared_influx))
    running = service(park, parks)
    path = parks / f"{park.name}.yaml"
    good = path.read_text(encoding="utf-8")

    path.write_text(good.replace("place: north", "place: nort"), encoding="utf-8")
    running._cycle(T0 + HOUR + 20_000)
    assert not running.health.is_good
    assert park.points("group_15m", group="north")

    path.write_text(good.replace("place: north", "place: south"), encoding="utf-8")
    running._cycle(T0 + HOUR + 30_000)
    assert running.health.is_good
    assert park.points("group_15m", group="north") == {}


def test_whose_clock_is_not_synchronised_is_said(parks: Path, caplog: pytest.LogCaptureFixture) -> None:
    park = filled(small_park_in(MemoryStore(), parks))
    rows = [(59 * MINUTE + m, {IMPORT: 9.0, "quality": 8}) for m in range(12)]
    for meter in ("press", *(f"m-{number:02}" for number in range(12))):
        park.write("electricity", meter, rows)
    running = service(park, parks)

    running._cycle(T0 + HOUR + 20_000)
    running._cycle(T0 + HOUR + 30_000)

    assert not running.health.is_good
    assert b"m-09 and 3 more are in no sum" in running.health._healthz().body
    assert caplog.text.count("are in no sum") == 1
    with caplog.at_level("INFO"):
        running._cycle(T0 + 2 * HOUR + 20_000)
    assert running.health.is_good
    assert "all clocks are synchronised again" in caplog.text


def test_a_park_that_is_gone_is_a_faulty_edit(parks: Path) -> None:
    path = parks / "demo.yaml"
    park = "park: {}\nname: Demo\ntimezone: UTC\nzones: {{}}\nmeters: {{}}\n"
    path.write_text(park.format("demo"), encoding="utf-8")
    folder = ParkFolder(parks, "demo")
    assert folder.maybe_edited() is None

    path.write_text(park.format("other"), encoding="utf-8")

    with pytest.raises(ConfigError, match="describes no park 'demo'"):
        folder.maybe_edited()
