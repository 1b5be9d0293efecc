"""`zonewise-ingest run` on a real broker and a real InfluxDB."""

import json
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.ingest.running_ingest import gateway, now_ms, page, points, running
from tests.peers.http_answers import Answer, answering
from tests.system.chain import BIN, Chain, wait_until

pytestmark = pytest.mark.servers


def test_rows_are_stored_and_acknowledged_and_the_end_is_clean(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        taken = now_ms()
        gw.send_rows(1, [["m-1", taken, 0, 1000, 230.5, 229.9], ["m-2", taken, 2, None, -1.0, None]])
        ack = gw.wait_ack(1)
        assert (ack["rows_stored"], ack["quarantined"]) == (2, [])
        stored = {one["meter"]: one for one in points(park, "electricity")}
        assert stored["m-1"] == {
            "time": taken, "park": "demo", "meter": "m-1", "quality": 0,
            "energy_import_wh": 1000, "active_power_w": 230.5, "voltage_l1_v": 229.9,
        }  # fmt: skip
        assert stored["m-2"]["quality"] == 2
        assert "energy_import_wh" not in stored["m-2"]
        assert page(park, "/healthz") == (200, "ok\n")
        assert (
            'zonewise_ingest_rows_written_total{gateway="gw-1",park="demo"} 2.0' in page(park, "/metrics")[1]
        )
        assert park.programs["ingest"].stop() == 0
        wait_until("ingest says that it is offline", lambda: gw.online[-1:] == [False])


def test_two_instances_share_the_data_of_a_park_and_the_death_of_one_loses_nothing(tmp_path: Path) -> None:
    with running(tmp_path, share_group="both") as park, gateway(park.broker.port) as gw:
        config = yaml.safe_load((tmp_path / "ingest.yaml").read_text(encoding="utf-8"))
        (tmp_path / "second.yaml").write_text(yaml.safe_dump({**config, "instance": "2"}), encoding="utf-8")
        second = park.start("second", "zonewise-ingest", "run", "--config", str(tmp_path / "second.yaml"))
        wait_until("the second is connected", lambda: "broker connected" in second.log)
        start = now_ms() - 60_000
        for seq in range(1, 21):
            gw.send_rows(seq, [["m-1", start + seq, 0, seq, None, None]])
        for seq in range(1, 21):
            gw.wait_ack(seq)
        (one,) = json.loads(page(park, "/status")[1])
        assert 0 < one["gateways"]["gw-1"]["received"] < 20
        second.kill()
        sent = {seq: [["m-1", start + seq, 0, seq, None, None]] for seq in range(21, 31)}
        for seq, rows in sent.items():
            gw.send_rows(seq, rows)
        for seq, rows in sent.items():
            # What the broker gave to the dead one, the gateway sends again.
            gw.send_rows(seq, rows)
            gw.wait_ack(seq)
        assert len(points(park, "electricity")) == 30
        before = sorted(one["time"] for one in points(park, "electricity"))
        park.query("", 'DROP DATABASE "demo_raw"')
        park.run("zonewise-ingest", "init", "--config", str(tmp_path / "ingest.yaml"))
        park.run("zonewise-ingest", "journal", "replay", "--config", str(tmp_path / "ingest.yaml"))
        assert sorted(one["time"] for one in points(park, "electricity")) == before


def run_to_its_end(park: Chain, *command: str) -> tuple[int, str]:
    """Run a program that ends by itself; gives exit code and what it said."""
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=park.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_what_is_wrong_with_a_start_is_said_without_a_traceback(tmp_path: Path) -> None:
    with running(tmp_path) as park:
        config = tmp_path / "ingest.yaml"
        code, told = run_to_its_end(park, "zonewise-ingest", "run", "--config", str(config))
        assert (code, "another process writes the journal" in told, "Traceback" in told) == (1, True, False)
        other = config.read_text(encoding="utf-8").replace("127.0.0.1:0", f"127.0.0.1:{park.broker.port}")
        config.write_text(f"{other}instance: '2'\n", encoding="utf-8")
        code, told = run_to_its_end(park, "zonewise-ingest", "run", "--config", str(config))
        assert (code, "cannot listen on 127.0.0.1" in told, "Traceback" in told) == (1, True, False)
        config.write_text(f"{other}instanze: '2'\nbrokr: {{}}\n", encoding="utf-8")
        code, told = run_to_its_end(park, "zonewise-ingest", "run", "--config", str(config))
        assert (code, told.count("did you mean"), "Traceback" in told) == (2, 2, False)


def test_a_process_that_still_waits_for_influxdb_ends_cleanly(tmp_path: Path) -> None:
    with running(tmp_path) as park:
        assert park.programs["ingest"].stop() == 0
        config = tmp_path / "ingest.yaml"
        text = config.read_text(encoding="utf-8").replace(park.influx.url, "http://127.0.0.1:1")
        config.write_text(text, encoding="utf-8")
        park.programs["ingest"].start()
        wait_until("it waits", lambda: "waits to start" in park.programs["ingest"].log)
        assert park.programs["ingest"].stop() == 0
        assert "Traceback" not in park.programs["ingest"].log


def test_an_influxdb_that_dribbles_holds_no_stop_up(tmp_path: Path) -> None:
    with running(tmp_path) as park, answering([Answer(200, b" " * 10_000, dribble_s=0.5)]) as slow:
        assert park.programs["ingest"].stop() == 0
        config = tmp_path / "ingest.yaml"
        text = config.read_text(encoding="utf-8").replace(park.influx.url, slow.url)
        config.write_text(text, encoding="utf-8")
        again = park.start("again", "zonewise-ingest", "run", "--config", str(config))
        rollup = park.start("rollup", "zonewise-ingest", "rollup", "--config", str(config), "--park", "demo")
        wait_until("run waits for one answer and rollup for two", lambda: len(slow.requests) >= 3)
        for program in (again, rollup):
            began_s = time.monotonic()
            assert program.stop() == 0, program.log
            assert time.monotonic() - began_s < 8, program.log
            assert "Traceback" not in program.log


def test_an_edited_park_is_taken_and_a_faulty_one_is_said(tmp_path: Path) -> None:
    theirs = {"medium": "electricity", "place": "z1", "gateway": "gw-2"}
    mine = {"medium": "electricity", "place": "z1", "gateway": "gw-1"}
    with running(tmp_path, meters={"m-1": theirs}) as park, gateway(park.broker.port) as gw:
        gw.send_rows(1, [["m-1", now_ms(), 0, 1, 1.5, None]])
        gw.wait_ack(1)
        assert gw.reasons(1) == [(1, "foreign_meter")]
        park.write_park({"m-1": {**mine, "plce": "z1"}})
        wait_until("it says so", lambda: page(park, "/healthz")[0] == 503)
        assert "the edited park description is not used" in page(park, "/healthz")[1]
        assert "demo.yaml" in page(park, "/status")[1]
        gw.send_rows(2, [["m-1", now_ms(), 0, 1, 1.5, None]])
        gw.wait_ack(2)
        assert gw.reasons(2) == [(1, "foreign_meter")]
        park.write_park({"m-1": mine})
        wait_until("all is well", lambda: page(park, "/healthz")[0] == 200)
        gw.send_rows(3, [["m-1", now_ms(), 0, 1, 1.5, None]])
        assert gw.wait_ack(3)["rows_stored"] == 1
        park.write_park({"m-1": mine}, name="second")
        wait_until("the new park is named", lambda: "not served: second" in page(park, "/healthz")[1])
        (tmp_path / "parks" / "second.yaml").unlink()
        wait_until("all is well again", lambda: page(park, "/healthz")[0] == 200)
