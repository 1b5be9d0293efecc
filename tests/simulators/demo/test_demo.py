"""The demo, whole: it exits with 0, its figures are those of its loads, and it leaves nothing running."""

import re
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from metering.park.dated import to_ms
from simulators.demo.servers import maybe_program
from simulators.demo.site import PARKS
from simulators.loads.flows import build_loads, default_origin_ms
from simulators.loads.shapes import Calendar
from simulators.wires import load_wires

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.skipif(
        maybe_program("mosquitto") is None or maybe_program("influxd") is None,
        reason="mosquitto or influxd is not installed (make setup installs them)",
    ),
]


def demo(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "simulators", "demo", "--folder", str(folder), *options]


def processes_in(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_the_demo_shows_every_zone_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        demo(tmp_path / "demo", "--for", "15", "--days", "2"),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing was lost, and every zone has data." in done.stdout
    # Lines that name the test's own folder are as long as its path.
    own_words = [line for line in done.stdout.splitlines() if tmp_path.name not in line]
    assert max(map(len, own_words)) <= 80
    assert processes_in(tmp_path) == []
    for zone, use_kwh, water_m3 in expected_figures():
        line = next(line for line in done.stdout.splitlines() if line.startswith(zone))
        numbers = [float(one.replace(",", "")) for one in re.findall(r"-?[\d,]+\.\d+", line)]
        # Registers show steps of up to 0.1 kWh, through transformers of up to 120.
        assert numbers[0] == pytest.approx(use_kwh, abs=1 + 0.01 * use_kwh)
        assert numbers[2] == pytest.approx(water_m3, abs=0.1)


def expected_figures() -> list[tuple[str, float, float]]:
    """Return each zone's use and water of yesterday, from the loads alone."""
    wires = load_wires(PARKS / "demo" / "sim.yaml")
    now_ms = int(time.time() * 1000)
    origin_ms = default_origin_ms(now_ms, days=2)
    days = (now_ms - origin_ms) // 86_400_000 + 1
    loads = build_loads(wires.loads, wires.loads, Calendar(origin_ms, days, wires.timezone))
    today = datetime.now(wires.timezone).date()
    from_ms, until_ms = to_ms(today - timedelta(days=1), wires.timezone), to_ms(today, wires.timezone)

    def net(meter: str) -> float:
        first, last = loads[meter].at(from_ms), loads[meter].at(until_ms)
        return (last.imported - first.imported) - (last.exported - first.exported)

    use = {
        "Production": net("z1-main") - net("z1-pv"),
        "Offices": net("z2-main"),
        "Cold store": net("z3-main") - net("z4-main"),
        "Workshops": net("z4-main"),
    }
    water = {
        "Production": "z1-water",
        "Offices": "z2-water",
        "Cold store": "z3-water",
        "Workshops": "z4-water",
    }
    return [(zone, wh / 1000, net(water[zone])) for zone, wh in use.items()]


def test_a_second_demo_in_the_same_folder_is_refused_and_a_stop_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    first = subprocess.Popen(demo(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert first.stdout is not None
    said = iter(first.stdout.readline, "")
    assert any("Waiting for the first rows" in line for line in said)
    second = subprocess.run(demo(folder), capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 1
    assert "another demo runs" in second.stderr
    first.send_signal(signal.SIGINT)
    assert first.wait(60) == 130
    first.stdout.close()
    assert processes_in(tmp_path) == []


def test_a_program_that_dies_ends_the_demo_with_its_log(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    running = subprocess.Popen(demo(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert running.stdout is not None
    said = iter(running.stdout.readline, "")
    assert any("Waiting for the first rows" in line for line in said)
    gateway = next(
        int(entry.parent.name)
        for entry in Path("/proc").glob("[0-9]*/cmdline")
        if f"{folder}/gw-2.yaml".encode() in entry.read_bytes()
    )
    subprocess.run(["kill", "-9", str(gateway)], check=True)
    text = "".join(said)
    assert running.wait(60) == 1
    running.stdout.close()
    assert "gw-2 has ended early (exit code -9)" in text
    assert "gw-2.log" in text
    assert processes_in(tmp_path) == []
