"""Replay on real servers: the journal gives the same points again; the quarantine gives up what is good now."""

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.journal.reader import JournalReader
from tests.ingest.running_ingest import Gateway, gateway, now_ms, points, running
from tests.system.chain import Chain, wait_until

pytestmark = pytest.mark.servers

MEDIA = ("electricity", "heat", "gas", "water", "environment", "production", "meters")


def everything(park: Chain) -> dict[str, list[dict[str, Any]]]:
    """Return every raw point but those of `late`."""
    return {
        name: sorted(points(park, name), key=lambda one: (one["time"], one["meter"], one.get("gateway", "")))
        for name in MEDIA
    }


def birth(gw: Gateway, time_ms: int, meters: dict[str, dict[str, Any]]) -> None:
    facts = {
        "model": "eastron-sdm630",
        "profile": "0123",
        "medium": "electricity",
        "poll_s": 10,
        "serial": None,
        "counters": {"energy_import_wh": {"step": 10, "modulus": None}},
    }
    told = {
        "schema": 1, "gateway": gw.name, "epoch": "00000000000000aa", "time_ms": time_ms, "software": "test",
        "meters": {meter: {**facts, **changes} for meter, changes in meters.items()},
    }  # fmt: skip
    gw.send(json.dumps(told).encode(), kind="birth", retain=True)


def send_a_day(park: Chain, gw: Gateway, other: Gateway) -> None:
    """Two gateways, births and a change, good and bad rows, old rows, an unknown meter."""
    now = now_ms()
    birth(gw, now - 5000, {"m-1": {}, "m-2": {}, "u-1": {}})
    wait_until("the birth is stored", lambda: len(points(park, "meters")) == 3)
    birth(other, now - 4000, {"u-1": {}, "u-2": {"poll_s": 60}})
    wait_until("the other's too", lambda: len(points(park, "meters")) == 5)
    for seq in range(1, 21):
        at = now - 86_400_000 * (seq % 3) + seq
        gw.send_rows(seq, [[m, at, 0, seq, 1.5, "bad" if seq == 7 else 230.0] for m in ("m-1", "m-2", "u-1")])
        foreign = [["u-1", at, 0, seq, 1.5, None], ["u-2", at, 0, seq, 1.5, None]]
        other.send_rows(seq, foreign, gateway="gw-2")
    birth(gw, now, {"m-1": {"serial": "123"}, "m-2": {}})
    gw.send(b"{", [("epoch", "00000000000000aa"), ("seq", "21"), ("rows", "1")])
    for seq in range(1, 22):
        gw.wait_ack(seq)
    for seq in range(1, 21):
        other.wait_ack(seq)
    wait_until("the change is stored", lambda: len(points(park, "meters")) == 6)


def test_the_journal_rebuilds_deleted_databases_point_for_point(tmp_path: Path) -> None:
    with (
        running(tmp_path) as park,
        gateway(park.broker.port) as gw,
        gateway(park.broker.port, "gw-2") as other,
    ):
        send_a_day(park, gw, other)
        before = everything(park)
        assert len(before["electricity"]) == 80
        assert len(before["meters"]) == 6
        config = str(tmp_path / "ingest.yaml")
        # Over the full databases nothing changes, ...
        park.run("zonewise-ingest", "journal", "replay", "--config", config)
        assert everything(park) == before
        # ... also after a restart, which must know from the store who came first, ...
        park.programs["ingest"].kill()
        park.programs["ingest"].start()
        wait_until("ingest is back", lambda: park.programs["ingest"].log.count("broker connected") == 2)
        other.send_rows(22, [["u-1", now_ms(), 0, 1, None, None]], gateway="gw-2")
        other.wait_ack(22)
        assert other.reasons(22) == [(1, "foreign_meter")]
        # ... and from nothing the same points come again.
        for database in ("demo_raw", "demo_rollup"):
            park.query("", f'DROP DATABASE "{database}"')
        park.run("zonewise-ingest", "init", "--config", config)
        told = park.run("zonewise-ingest", "journal", "replay", "--config", config)
        assert everything(park) == before
        assert "21 rows not: foreign_meter" in told


def test_a_birth_that_a_killed_process_had_only_journaled_is_written_by_the_next(tmp_path: Path) -> None:
    with running(tmp_path) as park, gateway(park.broker.port) as gw:
        park.influx.kill()
        first = now_ms()
        birth(gw, first, {"m-1": {}})
        journal = JournalReader(tmp_path / "data" / "journal")
        wait_until("it is journaled", lambda: any(journal.read("demo")))
        park.programs["ingest"].kill()
        # The broker keeps the newer one only, which says the same.
        birth(gw, first + 5000, {"m-1": {}})
        park.influx.start()
        park.programs["ingest"].start()
        wait_until("the birth is stored", lambda: points(park, "meters"))
        gw.send_rows(1, [["m-1", now_ms(), 0, 1, None, None]])
        gw.wait_ack(1)
        before = everything(park)
        assert [one["time"] for one in before["meters"]] == [first]
        park.query("", 'DROP DATABASE "demo_raw"')
        config = str(tmp_path / "ingest.yaml")
        park.run("zonewise-ingest", "init", "--config", config)
        park.run("zonewise-ingest", "journal", "replay", "--config", config)
        assert everything(park) == before


def test_a_park_edit_with_a_past_date_changes_no_raw_point(tmp_path: Path) -> None:
    with (
        running(tmp_path) as park,
        gateway(park.broker.port) as gw,
        gateway(park.broker.port, "gw-2") as other,
    ):
        send_a_day(park, gw, other)
        before = everything(park)
        moved = [{"zone": "z1", "valid_to": "2026-01-01"}, {"zone": "z2", "valid_from": "2026-01-01"}]
        park.write_park({m: {"medium": "electricity", "place": moved} for m in ("m-1", "m-2")})
        park.run("zonewise-ingest", "journal", "replay", "--config", str(tmp_path / "ingest.yaml"))
        assert everything(park) == before


def test_what_is_good_after_a_correction_leaves_the_quarantine(tmp_path: Path) -> None:
    theirs = {"medium": "electricity", "place": "z1", "gateway": "gw-2"}
    mine = {"medium": "electricity", "place": "z1", "gateway": "gw-1"}
    config = str(tmp_path / "ingest.yaml")
    with running(tmp_path, meters={"m-1": theirs, "m-2": theirs}) as park, gateway(park.broker.port) as gw:
        at = now_ms()
        gw.send_rows(
            1, [["m-1", at, 0, 1, 1.5, None], ["m-2", at, 0, 2, 1.5, None], ["m-3", at, 0, 3, 1.5, None]]
        )
        gw.wait_ack(1)
        assert gw.reasons(1) == [(2, "foreign_meter")]
        listed = park.run("zonewise-ingest", "quarantine", "list", "--config", config)
        assert "2 rows: foreign_meter" in listed
        park.write_park({"m-1": mine, "m-2": theirs})
        told = park.run("zonewise-ingest", "quarantine", "replay", "--config", config)
        assert "1 rows of 1 entries written" in told
        assert {one["meter"] for one in points(park, "electricity")} == {"m-1", "m-3"}
        listed = park.run("zonewise-ingest", "quarantine", "list", "--config", config)
        assert "1 rows: foreign_meter" in listed
        park.write_park({"m-1": mine, "m-2": mine})
        park.run("zonewise-ingest", "quarantine", "replay", "--reason", "foreign_meter", "--config", config)
        assert {one["meter"] for one in points(park, "electricity")} == {"m-1", "m-2", "m-3"}
        listed = park.run("zonewise-ingest", "quarantine", "list", "--config", config)
        assert "Nothing is in the quarantine" in listed
