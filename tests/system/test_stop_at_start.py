"""A program that is told to stop in its first moments ends as cleanly as later."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from metering.program import stop_signals
from simulators.demo.servers import free_port
from simulators.demo.site import PARKS
from tests.system.chain import BIN

pytestmark = pytest.mark.servers

# Nothing answers there: a start that waits for the network must stop as well.
_NOBODY = "127.0.0.1:1"
_FILES = {
    "gateway.yaml": f"""
park: demo
gateway: gw-1
broker: {{host: 127.0.0.1, port: 1}}
clock: trusted
http: 127.0.0.1:0
outbox: {{path: outbox.db}}
buses: {{line: {{tcp: "{_NOBODY}"}}}}
meters: [{{id: m-1, model: eastron-sdm120, bus: line, address: 1}}]
""",
    "ingest.yaml": f"""
broker: {{host: 127.0.0.1, port: 1}}
store: {{flavour: 1, url: "http://{_NOBODY}"}}
parks: parks
data: data
http: 127.0.0.1:0
""",
    "parks/demo.yaml": "{park: demo, name: Demo, timezone: UTC, zones: {z1: {name: Z}}, meters: {}}",
}
#: Command line by name, and the exit code of a clean stop.
_PROGRAMS: Mapping[str, tuple[list[str], int]] = {
    "edge run": (["zonewise-edge", "run"], 0),
    "ingest run": (["zonewise-ingest", "run"], 0),
    "ingest rollup": (["zonewise-ingest", "rollup", "--park", "demo"], 0),
    "sim park": (["zonewise-sim", "park", "--config", str(PARKS / "demo" / "sim.yaml")], 0),
    "sim demo": (["zonewise-sim", "demo", "--days", "2"], 130),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in _FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}"))
    return tmp_path


def start(program: str, folder: Path, *, blocked: bool) -> subprocess.Popen[str]:
    (name, *arguments), _ = _PROGRAMS[program]
    return subprocess.Popen(
        [sys.executable, BIN / name, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=stop_signals.block if blocked else None,  # noqa: PLW1509 - one thread
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end and return exit code and output."""
    try:
        told, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, told


@pytest.mark.parametrize("delay_ms", [0, 20, 50, 100, 200])
@pytest.mark.parametrize("program", _PROGRAMS)
def test_a_stop_at_any_moment_of_a_start_is_clean(folder: Path, program: str, delay_ms: int) -> None:
    process = start(program, folder, blocked=True)
    time.sleep(delay_ms / 1000)
    process.send_signal(signal.SIGTERM)
    code, told = end(process)
    assert (code, "Traceback" in told) == (_PROGRAMS[program][1], False), told


def catches_sigterm(pid: int) -> bool:
    """Return whether a process has a handler for SIGTERM (proc(5), SigCgt)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("program", _PROGRAMS)
def test_a_program_notes_stop_signals_before_it_loads_anything_large(folder: Path, program: str) -> None:
    process = start(program, folder, blocked=False)
    while not catches_sigterm(process.pid):
        time.sleep(0.0005)
    loaded = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8", errors="replace")
    process.send_signal(signal.SIGTERM)
    code, told = end(process)
    assert (code, "Traceback" in told) == (_PROGRAMS[program][1], False), told
    assert "pydantic" not in loaded


@pytest.mark.parametrize("command", [["zonewise-ingest", "rollup", "--park", "demo", "--once"]])
def test_a_command_that_does_one_thing_is_interrupted_by_a_stop(folder: Path, command: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, BIN / command[0], *command[1:]],
        cwd=folder,
        preexec_fn=stop_signals.block,  # noqa: PLW1509 - one thread
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGTERM
