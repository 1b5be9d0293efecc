"""Every panel's query shows something on the InfluxDB that the demo has filled."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.chain import BIN, wait_until

ROOT = Path(__file__).parents[2]
PARKS = ROOT / "simulators/parks/demo/park.yaml"


@pytest.mark.servers
@pytest.mark.slow
def test_every_panel_shows_something_in_the_demo(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as out:
        demo = subprocess.Popen(
            [BIN / "zonewise-sim", "demo", "--days", "3", "--folder", tmp_path / "demo"],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env={"PYTHONUNBUFFERED": "1", "PATH": f"{BIN}:/usr/bin:/bin:/usr/sbin"},
        )
    try:
        wait_until(
            "the demo runs live",
            lambda: "Running live" in output.read_text() or demo.poll() is not None,
            timeout_s=300,
        )
        text = output.read_text()
        url = re.search(r"InfluxDB (http://\S+)", text)
        assert demo.poll() is None, text
        assert url is not None, text
        # Status messages come every 30 s, live figures every 10 s.
        wait_until("every panel shows something", lambda: verify(url[1]).returncode == 0, timeout_s=60)
    finally:
        demo.send_signal(signal.SIGINT)
        try:
            code = demo.wait(timeout=120)
        finally:
            demo.kill()
    print(verify_summary(output))
    assert code == 0, output.read_text()


def verify(url: str) -> subprocess.CompletedProcess[str]:
    """Run every panel's query."""
    return subprocess.run(
        [sys.executable, "-m", "dashboards", "verify", "--park", PARKS, "--url", url],
        capture_output=True,
        text=True,
        check=False,
    )


def verify_summary(output: Path) -> str:
    """Return the last words of the demo."""
    return "\n".join(output.read_text().splitlines()[-8:])
