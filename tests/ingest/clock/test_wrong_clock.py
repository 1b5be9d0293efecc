"""`zonewise-ingest run` on real servers while its own clock is wrong: nothing is stored, and nothing is lost."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ingest.config import load_config
from ingest.service.process import serve
from metering.park.file import load_parks
from simulators.demo.servers import free_port
from tests.ingest.running_ingest import EPOCH, Gateway, gateway, now_ms, points
from tests.peers.set_clocks import SetClocks
from tests.system.chain import Chain, chain, wait_until

pytestmark = pytest.mark.servers
HOUR = 3_600_000
CONFIG = "ingest.yaml"


def prepared(park: Chain) -> int:
    """Write the configuration and create the databases; return the port of the local pages."""
    port = free_port()
    park.write_park({f"m-{n}": {"medium": "electricity", "place": "z1"} for n in (1, 2)})
    park.write_ingest(http=f"127.0.0.1:{port}")
    park.run("zonewise-ingest", "init", "--config", str(park.folder / CONFIG))
    return port


@asynccontextmanager
async def ingest(park: Chain, clocks: SetClocks, *, believes_clock: bool = False) -> AsyncIterator[None]:
    """Run ingest in this process, by clocks that the test sets."""
    config, stop = load_config(park.folder / CONFIG), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            serve(
                config,
                load_parks(config.parks),
                clocks=clocks,
                believes_clock=believes_clock,
                maybe_stopping=stop,
            )
        )
        try:
            yield
        finally:
            stop.set()


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def status(port: int) -> dict[str, Any]:
    return dict(json.loads(page(port, "/status")[1])[0])


async def until(what: str, condition: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_until, what, condition)


async def send(gw: Gateway, seq: int) -> None:
    await asyncio.to_thread(gw.send_rows, seq, [["m-1", now_ms(), 0, seq, 1.5, None]])


async def acknowledged(gw: Gateway, seq: int) -> dict[str, Any]:
    return await asyncio.to_thread(gw.wait_ack, seq)


def told(name: str, *, clock: str = "system") -> bytes:
    return json.dumps(
        {
            "schema": 1, "gateway": name, "epoch": EPOCH, "time_ms": now_ms(), "online": True, "software": "t",
            "clean_stop": None, "accounts": [], "counters": {}, "clock": clock,
        }
    ).encode()  # fmt: skip


async def test_while_the_clock_is_set_back_nothing_is_acknowledged_and_then_all_is_stored(
    tmp_path: Path,
) -> None:
    clocks = SetClocks()
    with chain(tmp_path) as park:
        port = prepared(park)
        async with ingest(park, clocks):
            with gateway(park.broker.port) as gw:
                await until("ingest is online", lambda: gw.online[-1:] == [True])
                await send(gw, 1)
                await acknowledged(gw, 1)

                clocks.ahead_ms = -24 * HOUR
                for seq in range(2, 22):
                    await send(gw, seq)
                await until("/healthz is red", lambda: page(port, "/healthz")[0] == 503)
                assert "24 h behind" in page(port, "/healthz")[1]
                assert "timedatectl" in page(port, "/healthz")[1]
                await until("it says that it holds", lambda: gw.online[-1:] == [False])
                await until("none was taken", lambda: status(port)["not_taken"] == 20)
                assert status(port)["open_events"] == [["clock_doubted", "1"]]
                assert [gw.maybe_ack(seq) for seq in range(2, 22)] == [None] * 20
                assert status(port)["withheld"] == 0

                clocks.ahead_ms = 0
                await until("it is online again", lambda: gw.online[-1:] == [True])
                assert page(port, "/healthz") == (200, "ok\n")
                for seq in range(2, 22):
                    await send(gw, seq)
                    assert (await acknowledged(gw, seq))["rows_stored"] == 1
                assert abs(gw.acks[-1]["time_ms"] - now_ms()) < 60_000
                assert len(points(park, "electricity")) == 21


async def test_a_start_with_a_clock_before_the_journal_holds(tmp_path: Path) -> None:
    with chain(tmp_path) as park:
        port = prepared(park)
        with gateway(park.broker.port) as gw:
            async with ingest(park, SetClocks()):
                await until("ingest is online", lambda: gw.online[-1:] == [True])
                await send(gw, 1)
                await acknowledged(gw, 1)
            gw.online.clear()
            async with ingest(park, SetClocks(ahead_ms=-HOUR)):
                await until("it is connected", lambda: page(port, "/healthz")[1].count("\n") == 1)
                assert "behind the newest message in the journal" in page(port, "/healthz")[1]
                await send(gw, 2)
                await until("it was not taken", lambda: status(port)["not_taken"] == 1)
                assert True not in gw.online
            assert gw.maybe_ack(2) is None
            # A person says that the clock is right: the row, an hour ahead of it, waits in the quarantine.
            async with ingest(park, SetClocks(ahead_ms=-HOUR), believes_clock=True):
                await until("it is online", lambda: gw.online[-1:] == [True])
                await send(gw, 2)
                await acknowledged(gw, 2)
                assert gw.reasons(2) == [(1, "absurd_time")]


async def test_three_gateways_that_ntp_keeps_are_believed_more(tmp_path: Path) -> None:
    clocks = SetClocks(ahead_ms=-HOUR)
    with chain(tmp_path) as park:
        port = prepared(park)
        async with ingest(park, clocks):
            with (
                gateway(park.broker.port) as one,
                gateway(park.broker.port, "gw-2") as two,
                gateway(park.broker.port, "gw-3") as three,
            ):
                await until("ingest is online", lambda: one.online[-1:] == [True])
                for gw in (one, two):
                    await asyncio.to_thread(gw.send, told(gw.name), kind="status")
                await asyncio.to_thread(three.send, told("gw-3", clock="ingest"), kind="status")
                await asyncio.sleep(2.5)
                assert page(port, "/healthz")[0] == 200
                await asyncio.to_thread(three.send, told("gw-3"), kind="status")
                await until("/healthz is red", lambda: page(port, "/healthz")[0] == 503)
                assert "60 min behind that of the gateways (3 of 3" in page(port, "/healthz")[1]
                clocks.ahead_ms = 0
                await until("ingest is online again", lambda: one.online[-2:] == [False, True])


async def test_rows_that_were_ahead_are_stored_when_their_time_has_come(tmp_path: Path) -> None:
    clocks = SetClocks(ahead_ms=-2 * HOUR)
    with chain(tmp_path) as park, gateway(park.broker.port) as gw:
        port = prepared(park)
        async with ingest(park, clocks):
            await until("ingest is online", lambda: gw.online[-1:] == [True])
            await send(gw, 1)
            await acknowledged(gw, 1)
            assert gw.reasons(1) == [(1, "absurd_time")]
            assert status(port)["rows_ahead"] == 1
            clocks.ahead_ms = 0
            await until("it is stored", lambda: points(park, "electricity"))
            assert (status(port)["rows_ahead"], status(port)["rows_judged_again"]) == (0, 1)
        assert "Nothing is in the quarantine" in park.run("zonewise-ingest", "quarantine", "list")


async def test_rows_that_a_former_process_set_aside_as_ahead_are_stored_by_the_next(tmp_path: Path) -> None:
    with chain(tmp_path) as park, gateway(park.broker.port) as gw:
        prepared(park)
        async with ingest(park, SetClocks(ahead_ms=-2 * HOUR)):
            await until("ingest is online", lambda: gw.online[-1:] == [True])
            for seq in (1, 2, 3):
                await send(gw, seq)
                await acknowledged(gw, seq)
                assert gw.reasons(seq) == [(1, "absurd_time")]
        async with ingest(park, SetClocks()):
            await until("they are stored", lambda: len(points(park, "electricity")) == 3)


async def test_a_replay_judges_by_its_own_clock(tmp_path: Path) -> None:
    with chain(tmp_path) as park, gateway(park.broker.port) as gw:
        prepared(park)
        async with ingest(park, SetClocks(ahead_ms=-2 * HOUR)):
            await until("ingest is online", lambda: gw.online[-1:] == [True])
            await send(gw, 1)
            await acknowledged(gw, 1)
        assert "1 rows of 1 entries written" in park.run("zonewise-ingest", "quarantine", "replay")
        park.query("", 'DROP DATABASE "demo_raw"')
        park.run("zonewise-ingest", "init")
        assert "1 messages, 1 rows" in park.run("zonewise-ingest", "journal", "replay")
        assert len(points(park, "electricity")) == 1


async def test_a_replay_whose_clock_is_behind_the_journal_is_refused(tmp_path: Path) -> None:
    with chain(tmp_path) as park, gateway(park.broker.port) as gw:
        prepared(park)
        async with ingest(park, SetClocks(ahead_ms=2 * HOUR)):
            await until("ingest is online", lambda: gw.online[-1:] == [True])
            await send(gw, 1)
            await acknowledged(gw, 1)
        with pytest.raises(AssertionError, match="behind the newest message in the journal"):
            park.run("zonewise-ingest", "journal", "replay")
        assert "1 rows" in park.run("zonewise-ingest", "journal", "replay", "--believe-clock")


async def test_where_ntp_must_keep_the_clock_nothing_is_stored_before(tmp_path: Path) -> None:
    clocks = SetClocks()
    with chain(tmp_path) as park, gateway(park.broker.port) as gw:
        port = prepared(park)
        park.write_ingest(http=f"127.0.0.1:{port}", clock="ntp")
        async with ingest(park, clocks):
            await until("it says so", lambda: "no NTP keeps the clock" in page(port, "/healthz")[1])
            clocks.is_synchronised = True
            await until("ingest is online", lambda: gw.online[-1:] == [True])
            await send(gw, 1)
            assert (await acknowledged(gw, 1))["rows_stored"] == 1
