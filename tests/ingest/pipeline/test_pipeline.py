"""The pipeline under trouble, as a process on real servers: full disk, missing and dead databases, resends."""

import json
import os
import resource
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.running_ingest import EPOCH, body, gateway, now_ms, page, points, running, tags
from tests.system.chain import Chain, wait_until

pytestmark = pytest.mark.servers


def account(park: Chain, name: str = "gw-1", *, park_id: str = "demo") -> dict[str, Any]:
    """Return a gateway's account from /status."""
    parks = {one["park"]: one for one in json.loads(page(park, "/status")[1])}
    return dict(parks[park_id]["gateways"].get(name, {"received": 0, "pending": 0, "duplicates": 0}))


def rows(seq: int) -> list[list[Any]]:
    """Return two rows with times of their own."""
    return [["m-1", now_ms() + seq, 0, seq, 1.5, None], ["m-2", now_ms() + seq, 0, seq, 2.5, None]]


def test_while_the_journal_cannot_be_written_nothing_is_written_or_acknowledged(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        gw.send_rows(1, rows(1))
        gw.wait_ack(1)
        process = park.programs["ingest"].process
        assert process is not None
        (segment,) = (tmp_path / "data" / "journal" / "demo").iterdir()
        limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        # As on a full disk, the file can grow no more.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (segment.stat().st_size + 10, limits[1]))
        gw.send_rows(2, rows(2))
        wait_until("/healthz is red", lambda: page(park, "/healthz")[0] == 503)
        assert str(segment) in page(park, "/healthz")[1]
        assert "bytes could not be written" in page(park, "/healthz")[1]
        gw.send_rows(3, rows(3))
        wait_until(
            "a PUBACK is withheld", lambda: 'pubacks_withheld{park="demo"} 1.0' in page(park, "/metrics")[1]
        )
        wait_until("the alarm is stored", lambda: events(park, "journal_failed") == [1])
        assert gw.maybe_ack(2) is None
        assert len(points(park, "electricity")) == 2
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
        gw.wait_ack(2)
        gw.wait_ack(3)
        assert len(points(park, "electricity")) == 6
        wait_until("/healthz is green", lambda: page(park, "/healthz")[0] == 200)
        wait_until("the alarm is over", lambda: events(park, "journal_failed") == [1, 0])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_under_the_journal_loses_nothing(tmp_path: Path, small_disk: Path) -> None:
    journal = {"path": str(small_disk / "journal")}
    with running(tmp_path, journal=journal) as park, gateway(park.broker.port) as gw:
        gw.send_rows(1, rows(1))
        gw.wait_ack(1)
        ballast = small_disk / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        noise = {seq: os.urandom(30_000).hex() for seq in (2, 3, 4)}
        for seq, name in noise.items():
            gw.send(body(seq, rows(seq), software=name), tags(seq, 2))
        wait_until("/healthz is red", lambda: page(park, "/healthz")[0] == 503)
        assert f"{small_disk}/journal/demo/" in page(park, "/healthz")[1]
        assert len(points(park, "electricity")) == 2
        ballast.unlink()
        for seq in noise:
            gw.wait_ack(seq)
        assert len(points(park, "electricity")) == 8
        park.query("", 'DROP DATABASE "demo_raw"')
        config = str(tmp_path / "ingest.yaml")
        park.run("zonewise-ingest", "init", "--config", config)
        park.run("zonewise-ingest", "journal", "replay", "--config", config)
        assert len(points(park, "electricity")) == 8
        assert park.programs["ingest"].stop() == 0


def events(park: Chain, kind: str, *, park_id: str = "demo") -> list[int]:
    """Return the states of an event in the order of time."""
    found = points(park, "event", database=f"{park_id}_rollup")
    return [one["state"] for one in sorted(found, key=lambda one: one["time"]) if one["kind"] == kind]


def test_a_park_without_database_is_paused_and_holds_up_no_other(tmp_path: Path) -> None:
    with ExitStack() as stack:
        park = stack.enter_context(running(tmp_path))
        gw = stack.enter_context(gateway(park.broker.port))
        assert park.programs["ingest"].stop() == 0
        park.write_park({"m-1": {"medium": "electricity", "place": "z1"}}, name="second")
        park.run("zonewise-ingest", "init", "--config", str(tmp_path / "ingest.yaml"))
        park.programs["ingest"].start()
        wait_until("both are connected", lambda: park.programs["ingest"].log.count("broker connected") == 3)
        second = stack.enter_context(gateway(park.broker.port, park="second"))
        park.query("", 'DROP DATABASE "demo_raw"')
        gw.send_rows(1, rows(1))
        wait_until("/healthz is red", lambda: page(park, "/healthz")[0] == 503)
        second.send_rows(1, rows(1))
        second.wait_ack(1)
        wait_until("the alarm is stored", lambda: events(park, "store_denied") == [1])
        assert gw.maybe_ack(1) is None
        assert account(park)["pending"] == 2
        park.run("zonewise-ingest", "init", "--config", str(tmp_path / "ingest.yaml"))
        gw.wait_ack(1)
        assert len(points(park, "electricity")) == 2
        wait_until("the alarm is over", lambda: events(park, "store_denied") == [1, 0])


def test_an_event_that_a_killed_process_left_open_is_closed_by_the_next(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        park.query("", 'DROP DATABASE "demo_raw"')
        gw.send_rows(1, rows(1))
        wait_until("the alarm is stored", lambda: events(park, "store_denied") == [1])
        park.programs["ingest"].kill()
        park.run("zonewise-ingest", "init", "--config", str(tmp_path / "ingest.yaml"))
        park.programs["ingest"].start()
        wait_until("the alarm is over", lambda: events(park, "store_denied") == [1, 0])


def test_a_missing_rollup_database_does_not_stop_raw_data(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        park.query("", 'DROP DATABASE "demo_rollup"')
        gw.send(status_body(online=True), kind="status")
        gw.send_rows(1, rows(1))
        gw.wait_ack(1)
        park.run("zonewise-ingest", "init", "--config", str(tmp_path / "ingest.yaml"))
        wait_until(
            "the status is stored late", lambda: points(park, "gateway_status", database="demo_rollup")
        )


def status_body(*, online: bool, time_ms: int = 1) -> bytes:
    """Return a gateway's status with two epochs."""
    epoch = {"read": 10, "stored": 4, "quarantined": 1, "held": 3, "dropped": 2, "read_is_known": True}
    told = {
        "schema": 1, "gateway": "gw-1", "epoch": EPOCH, "time_ms": time_ms, "online": online, "software": "t",
        "clean_stop": None, "accounts": [{"epoch": EPOCH, **epoch}, {"epoch": "00000000000000ab", **epoch}],
        "counters": {"timeouts": 7, "unheard_of": 1},
    }  # fmt: skip
    return json.dumps(told).encode()


def test_statuses_become_points_and_a_last_will_an_event(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        gw.send(status_body(online=True), kind="status")
        wait_until("it is stored", lambda: points(park, "gateway_status", database="demo_rollup"))
        (stored,) = points(park, "gateway_status", database="demo_rollup")
        assert {key: stored[key] for key in ("online", "read", "stored", "quarantined", "held", "dropped")} == {
            "online": 1, "read": 20, "stored": 8, "quarantined": 2, "held": 6, "dropped": 4,
        }  # fmt: skip
        assert (stored["timeouts"], stored["polls"]) == (7, 0)
        assert "unheard_of" not in stored
        gw.send(status_body(online=False, time_ms=0), kind="status")
        wait_until("the event is open", lambda: events(park, "gateway_offline") == [1])
        gw.send(status_body(online=True), kind="status")
        wait_until("the event is over", lambda: events(park, "gateway_offline") == [1, 0])


def test_resends_are_told_again_and_neither_journaled_nor_counted_again(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        again, properties = body(1, rows(1)), tags(1, 2)
        gw.send(again, properties)
        gw.wait_ack(1)
        (segment,) = (tmp_path / "data" / "journal" / "demo").iterdir()
        size = segment.stat().st_size
        gw.acks.clear()
        gw.send(again, properties)
        assert gw.wait_ack(1)["rows_stored"] == 2
        assert segment.stat().st_size == size
        assert (account(park)["received"], account(park)["duplicates"]) == (2, 1)
        # The same ids with another body are not the same message: it takes the whole way.
        gw.acks.clear()
        gw.send_rows(1, rows(7))
        gw.wait_ack(1)
        assert segment.stat().st_size > size


def test_while_influxdb_is_away_resends_are_dropped_and_everything_arrives_when_it_is_back(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        park.influx.kill()
        sent = {seq: body(seq, rows(seq)) for seq in range(1, 21)}
        for _ in range(3):
            for seq, one in sent.items():
                gw.send(one, tags(seq, 2))
        wait_until("all are received", lambda: account(park)["received"] >= 2)
        park.influx.start()
        for seq in sent:
            gw.wait_ack(seq)
        assert len(points(park, "electricity")) == 40
        end = account(park)
        assert (end["received"], end["written"], end["pending"]) == (40, 40, 0)
        assert account(park)["duplicates"] == 40


def test_what_was_not_acknowledged_before_a_kill_is_stored_once_after_it(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        sent = {seq: body(seq, rows(seq)) for seq in range(1, 6)}
        park.influx.kill()
        for seq, one in sent.items():
            gw.send(one, tags(seq, 2))
        wait_until("all are received", lambda: account(park)["received"] == 10)
        park.programs["ingest"].kill()
        park.influx.start()
        park.programs["ingest"].start()
        wait_until("ingest is back", lambda: park.programs["ingest"].log.count("broker connected") == 2)
        for seq, one in sent.items():
            gw.send(one, tags(seq, 2))
            gw.wait_ack(seq)
        assert len(points(park, "electricity")) == 10


def test_what_influxdb_refuses_is_found_and_set_aside_alone(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        conflict = 'electricity,meter=m-9,park=demo voltage_l1_v="text" 1795000000000'
        write(park, conflict)
        at = 1_795_000_000_001  # the same shard, where the field is text
        good = [["m-1", at + n, 0, n, 1.5, None] for n in range(40)]
        bad = [["m-1", at + 100 + n, 0, n, 1.5, 230.0] for n in range(3)]
        gw.send_rows(1, [*good[:20], *bad, *good[20:]])
        gw.wait_ack(1)
        assert gw.reasons(1) == [(3, "refused_by_influxdb")]
        assert gw.wait_ack(1)["rows_stored"] == 40
        stored = points(park, "electricity")
        assert len([one for one in stored if one["meter"] == "m-1"]) == 40
        listed = park.run("zonewise-ingest", "quarantine", "list", "--config", str(tmp_path / "ingest.yaml"))
        assert "3 rows: refused_by_influxdb" in listed


def write(park: Chain, line: str) -> None:
    """Write a line over plain HTTP."""
    request = urllib.request.Request(f"{park.influx.url}/write?db=demo_raw&precision=ms", data=line.encode())
    urllib.request.urlopen(request, timeout=10).close()


def test_late_rows_leave_a_late_point_and_fresh_ones_do_not(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        now = now_ms()
        gw.send_rows(1, [["m-1", now, 0, 1, 1.5, None]])
        gw.wait_ack(1)
        assert points(park, "late") == []
        old = [now - 7_200_000, now - 3_600_000]
        gw.send_rows(2, [["m-1", at, 0, 1, 1.5, None] for at in old] + [["m-2", now, 0, 1, 1.5, None]])
        gw.wait_ack(2)
        (late,) = points(park, "late")
        assert late.pop("time") >= now
        assert late == {"park": "demo", "meter": "m-1", "instance": "1", "from_ms": old[0], "to_ms": old[1]}


def test_the_broker_may_forget_everything(tmp_path: Path) -> None:
    with running(tmp_path) as park:
        park.broker.kill()
        park.broker.start()
        log = park.programs["ingest"].log
        wait_until("ingest is back", lambda: park.programs["ingest"].log.count("broker connected") == 2)
        assert "connection lost" in park.programs["ingest"].log, log
        with gateway(park.broker.port) as gw:
            gw.send_rows(1, rows(1))
            gw.wait_ack(1)
            wait_until("it says that it is there", lambda: gw.online[-1:] == [True])


def test_a_killed_ingest_is_seen_offline(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        wait_until("it says that it is there", lambda: gw.online[-1:] == [True])
        park.programs["ingest"].kill()
        wait_until("its last will says that it is gone", lambda: gw.online[-1:] == [False])
