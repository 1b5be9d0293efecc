"""`zonewise-edge check` and `profiles`: predictions without network, and words that help."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge.commissioning.forecast import forecast
from edge.config.gateway import load_config

GATEWAY = """
park: demo
gateway: gw-1
broker: {{host: localhost}}
buses:
  line: {bus}
meters:
{meters}
"""
SERIAL = "{serial: /dev/does-not-exist, baud: 9600}"


def write(folder: Path, *, count: int, poll_s: float, bus: str = SERIAL) -> Path:
    meters = "\n".join(
        f"  - {{id: m-{unit}, model: eastron-sdm630, bus: line, address: {unit}, poll_s: {poll_s}}}"
        for unit in range(1, count + 1)
    )
    path = folder / "gateway.yaml"
    path.write_text(GATEWAY.format(bus=bus, meters=meters), encoding="utf-8")
    return path


def edge(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_line_with_room_fits(tmp_path: Path) -> None:
    done = edge("check", "--config", write(tmp_path, count=10, poll_s=10))

    assert (done.returncode, "all fits" in done.stdout) == (0, True), done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_line_that_is_too_slow_is_said_with_a_way_out(tmp_path: Path) -> None:
    done = edge("check", "--config", write(tmp_path, count=30, poll_s=2))

    assert done.returncode == 1
    assert "bus 'line' would be busy" in done.stdout
    assert "longer poll_s" in done.stdout


def test_a_meter_read_once_a_day_adds_its_own_rows_and_no_more(tmp_path: Path) -> None:
    often = forecast(load_config(write(tmp_path, count=3, poll_s=10))).uplink
    path = write(tmp_path, count=3, poll_s=10)
    daily = "\n  - {id: daily, model: eastron-sdm630, bus: line, address: 99, poll_s: 86400}\n"
    path.write_text(path.read_text(encoding="utf-8") + daily, encoding="utf-8")
    both = forecast(load_config(path)).uplink

    assert both.rows_per_day == often.rows_per_day + 1
    assert 0.01 < both.mb_per_month - often.mb_per_month < 0.05, "a month has thirty of them"


def test_an_uplink_that_is_too_small_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, count=10, poll_s=10)

    assert edge("check", "--config", path, "--uplink-mb", "1").returncode == 1
    assert edge("check", "--config", path, "--uplink-mb", "100000").returncode == 0


def test_a_wrong_file_lists_every_problem_without_a_traceback(tmp_path: Path) -> None:
    path = write(tmp_path, count=2, poll_s=10)
    text = path.read_text(encoding="utf-8").replace("model: eastron-sdm630", "model: sdm63", 1)
    path.write_text(text.replace("address: 2", "adress: 2"), encoding="utf-8")

    done = edge("check", "--config", path)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"{path}:9:" in done.stderr
    assert "did you mean 'address'?" in done.stderr


SECRETS = """  username: demo.gw-1
  password_file: password
  tls: {{ca_file: {ca}, cert_file: cert.pem, key_file: key.pem}}
"""


def write_secrets(folder: Path, *, ca: str = "ca.pem") -> Path:
    path = write(folder, count=2, poll_s=10)
    text = path.read_text(encoding="utf-8")
    secrets = SECRETS.format(ca=ca)
    path.write_text(text.replace("broker: {host: localhost}", f"broker:\n  host: localhost\n{secrets}"))
    return path


def test_a_password_and_tls_files_that_are_missing_are_told(tmp_path: Path) -> None:
    done = edge("check", "--config", write_secrets(tmp_path))

    assert done.returncode == 1
    told = " ".join(done.stdout.split())
    assert f"warning: {tmp_path}/password: secret cannot be read: No such file or directory" in told
    assert f"warning: {tmp_path}/ca.pem: ca_file cannot be read: No such file or directory" in told


@pytest.mark.parametrize("is_there", [False, True])
def test_run_does_not_start_without_the_file_of_the_authority(tmp_path: Path, *, is_there: bool) -> None:
    (tmp_path / "password").write_text("secret\n")
    if is_there:
        (tmp_path / "ca.pem").write_text("this is no certificate\n")

    done = edge("run", "--config", write_secrets(tmp_path))

    assert done.returncode == 2
    what = (
        "cannot be used: it holds no certificate or key that fits"
        if is_there
        else "cannot be read: No such file"
    )
    assert f"{tmp_path}/ca.pem: ca_file {what}" in done.stderr
    assert "Traceback" not in done.stderr


def test_bus_time_grows_with_the_meters_and_falls_with_the_baud_rate(tmp_path: Path) -> None:
    (slow,) = forecast(load_config(write(tmp_path, count=4, poll_s=10))).buses
    (half,) = forecast(load_config(write(tmp_path, count=2, poll_s=10))).buses
    fast_bus = SERIAL.replace("9600", "19200")
    (fast,) = forecast(load_config(write(tmp_path, count=4, poll_s=10, bus=fast_bus))).buses

    assert slow.cycle_s == pytest.approx(2 * half.cycle_s)
    assert fast.cycle_s < slow.cycle_s
    assert slow.busy == pytest.approx(slow.cycle_s / 10)


def test_the_uplink_follows_the_poll_rate(tmp_path: Path) -> None:
    often = forecast(load_config(write(tmp_path, count=4, poll_s=5))).uplink
    seldom = forecast(load_config(write(tmp_path, count=4, poll_s=10))).uplink

    assert often.rows_per_day == 2 * seldom.rows_per_day == 4 * 17280
    assert often.mb_per_month == pytest.approx(2 * seldom.mb_per_month, rel=0.05)


def test_the_catalogue_can_be_listed_and_searched() -> None:
    listed = edge("profiles")
    one = edge("profiles", "SDM630")
    none = edge("profiles", "sdm63")

    assert "eastron-sdm630" in listed.stdout
    assert "energy_import_wh" in one.stdout
    assert (none.returncode, "did you mean" in none.stderr) == (2, True)


@pytest.mark.parametrize("command", ["check", "profiles"])
def test_help_has_an_example(command: str) -> None:
    assert f"zonewise-edge {command}" in edge(command, "--help").stdout
