"""`zonewise-ingest run` on a real broker and a real InfluxDB."""

from pathlib import Path

import pytest

from tests.ingest.running_ingest import gateway, now_ms, page, points, running
from tests.system.chain import wait_until

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
