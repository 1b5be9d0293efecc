"""Private servers for the demo and the tests: a Mosquitto and an InfluxDB 1.x on free loopback ports.

Each keeps its configuration, data and log in one folder, listens on 127.0.0.1 only and ends with the process
that started it. `start` after `stop` or `kill` uses the same port and data again, as after a crash.
"""

import ctypes
import getpass
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

from simulators.errors import ServerError

_HOST = "127.0.0.1"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 20.0
_PR_SET_PDEATHSIG = 1
_PORTS = range(20_000, 32_000)
_PORT_TRIES = 100
_ALSO_LOOK_IN = "/usr/sbin:/sbin"  # Debian keeps daemons out of a user's PATH


def free_port() -> int:
    """Return a loopback port that is free now.

    The kernel uses ports from 32768 up for outgoing connections (ip_local_port_range); one from below is
    still free when the server takes it, however busy the machine.

    Raises:
        ServerError: when no tried port is free.
    """
    for port in random.sample(_PORTS, _PORT_TRIES):
        with socket.socket() as probe:
            if probe.connect_ex((_HOST, port)) != 0 and _can_bind(port):
                return port
    raise ServerError("no free port on loopback")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def maybe_program(name: str) -> str | None:
    """Return the path of a server program, or `None` where it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_ALSO_LOOK_IN}")


def die_with_parent() -> None:
    """In a child: be killed when the parent ends, however it ends (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Server(ABC):
    """A server process below a folder; use it as `with`."""

    program: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / f"{self.program}.log"

    @abstractmethod
    def _configuration(self) -> str:
        """Return the text of the configuration file."""

    @abstractmethod
    def _command(self, program: str, configuration: Path) -> list[str]:
        """Return the command line."""

    @abstractmethod
    def _answers(self) -> bool:
        """Return whether it is ready."""

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ServerError: when it is not installed, ends at once or does not answer in time.
        """
        program = maybe_program(self.program)
        if program is None:
            raise ServerError(f"{self.program} is not installed; `make setup` installs it")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / f"{self.program}.conf"
        configuration.write_text(self._configuration(), encoding="utf-8")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a program of Debian's, found above
                self._command(program, configuration),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing else is done between fork and exec
                start_new_session=True,  # Ctrl-C is for the program that started it
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        # Check the process first: another program may answer on the port.
        while not (self.is_running and self._answers()):
            if not self.is_running or time.monotonic() > deadline:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
                self.kill()
                raise ServerError(f"{self.program} does not answer on port {self.port}:\n{tail}")
            time.sleep(0.05)

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; 0 when it was never started."""
        return self._process.pid if self._process else 0

    def stop(self) -> None:
        """Send the stop signal; kill it when it does not end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it at once, so that it saves nothing."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start again, on the same port and data."""
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        if self._process is None or not self.is_running:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self.stop()


class Mosquitto(Server):
    """A broker with Mosquitto's default settings (no persistence), anonymous because it is private."""

    program = "mosquitto"

    def _configuration(self) -> str:
        return f"listener {self.port} {_HOST}\nallow_anonymous true\nuser {getpass.getuser()}\n"

    def _command(self, program: str, configuration: Path) -> list[str]:
        return [program, "-c", str(configuration)]

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((_HOST, self.port)) == 0


class Influx(Server):
    """An InfluxDB 1.x (Debian ships 1.6.7)."""

    program = "influxd"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._rpc_port = free_port()

    @property
    def url(self) -> str:
        """Base address of its HTTP API."""
        return f"http://{_HOST}:{self.port}"

    def _configuration(self) -> str:
        # A second instance on a machine needs an RPC port of its own. max-series 0 = no limit.
        return f"""
reporting-disabled = true
bind-address = "{_HOST}:{self._rpc_port}"
[meta]
dir = "{self.folder}/meta"
[data]
dir = "{self.folder}/data"
wal-dir = "{self.folder}/wal"
max-series-per-database = 0
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "{_HOST}:{self.port}"
log-enabled = false
[logging]
level = "warn"
[subscriber]
enabled = false
[continuous_queries]
enabled = false
"""

    def _command(self, program: str, configuration: Path) -> list[str]:
        return [program, "-config", str(configuration)]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=1) as answer:  # noqa: S310 - our own server
                return bool(answer.status == HTTPStatus.NO_CONTENT)
        except (urllib.error.URLError, OSError):
            return False
