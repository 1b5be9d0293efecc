"""Private servers: they answer when started, keep port and data, and leave nothing behind."""

import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from simulators.demo.servers import Influx, Mosquitto, maybe_program
from simulators.errors import ServerError

pytestmark = pytest.mark.servers


def post(influx: Influx, path: str, **form: str) -> bytes:
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(f"{influx.url}{path}", data=data, timeout=10) as answer:
        return bytes(answer.read())


def test_a_broker_keeps_its_port_over_a_kill(mosquitto: Mosquitto) -> None:
    port = mosquitto.port
    mosquitto.kill()
    assert not mosquitto.is_running
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    mosquitto.start()
    assert mosquitto.port == port
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) == 0


def test_influx_keeps_its_data_over_a_kill(influx: Influx) -> None:
    post(influx, "/query", q="CREATE DATABASE kept")
    request = urllib.request.Request(f"{influx.url}/write?db=kept", data=b"m value=1 1")
    urllib.request.urlopen(request, timeout=10).close()
    influx.kill()
    influx.start()
    assert b'"values":[["1970-01-01T00:00:00.000000001Z",1]]' in post(
        influx, "/query", db="kept", q="SELECT * FROM m"
    )


def test_servers_listen_on_loopback_only(mosquitto: Mosquitto, influx: Influx) -> None:
    """As the kernel lists them: no listener of these processes on another address."""
    for server in (mosquitto, influx):
        inodes = {str(entry.readlink()) for entry in Path(f"/proc/{server.pid}/fd").iterdir()}
        ports = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                    assert fields[1].startswith("0100007F:"), line
                    ports.add(int(fields[1].partition(":")[2], 16))
        assert server.port in ports, "its own listener was looked at"


class Misconfigured(Mosquitto):
    """A broker that refuses its configuration."""

    def _configuration(self) -> str:
        return "no_such_option true\n"


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    if maybe_program("mosquitto") is None:
        pytest.skip("mosquitto is not installed (make setup installs it)")
    with pytest.raises(ServerError, match="no_such_option"):
        Misconfigured(tmp_path).start()


def test_a_server_dies_with_whoever_started_it(tmp_path: Path) -> None:
    if maybe_program("mosquitto") is None:
        pytest.skip("mosquitto is not installed (make setup installs it)")
    code = (
        "import pathlib, sys, time\n"
        "from simulators.demo.servers import Mosquitto\n"
        f"broker = Mosquitto(pathlib.Path({str(tmp_path)!r}))\n"
        "broker.start(); print(broker.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline_s = time.monotonic() + 10
    while _is_alive(pid) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        # A zombie nobody waits for is dead enough.
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
