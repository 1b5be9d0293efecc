"""The whole chain as processes of its own: real broker, real InfluxDB, ingest, rollup, gateways.

`Chain` writes the configuration, starts the programs as a user would and lets a test kill any of them.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from metering.program import stop_signals
from simulators.demo.servers import Influx, Mosquitto

BIN = Path(sys.executable).parent
PARK = "demo"


def wait_until(what: str, condition: Callable[[], object], *, timeout_s: float = 60.0) -> None:
    """Wait for a condition, looking ten times a second.

    Raises:
        AssertionError: when it does not come true in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.1)


@dataclass
class Program:
    """One program of ours, restartable; its output goes to a log file."""

    name: str
    command: list[str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it in a process group of its own."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=stop_signals.block,  # noqa: PLW1509 - the program notes them as its first act
            )

    def kill(self) -> None:
        """Kill it without a chance to say anything (SIGKILL)."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to stop and give its exit code."""
        return self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        return self.process.wait(timeout=30)

    @property
    def log(self) -> str:
        """What it has said so far."""
        path = self.folder / f"{self.name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


@dataclass
class Chain:
    """A park on real servers below one folder."""

    folder: Path
    broker: Mosquitto
    influx: Influx
    programs: dict[str, Program] = field(default_factory=dict)

    def write_park(self, meters: Mapping[str, Any], *, name: str = PARK) -> None:
        """Write the park description; `meters` as in the file."""
        (self.folder / "parks").mkdir(exist_ok=True)
        description = {
            "park": name,
            "name": "Test park",
            "timezone": "Europe/Ljubljana",
            "zones": {"z1": {"name": "Zone 1"}, "z2": {"name": "Zone 2"}},
            "meters": dict(meters),
        }
        self._write(f"parks/{name}.yaml", description)

    def write_ingest(self, **changes: object) -> None:
        """Write ingest.yaml."""
        self._write(
            "ingest.yaml",
            {
                "broker": {"host": "127.0.0.1", "port": self.broker.port},
                "store": {"flavour": 1, "url": self.influx.url},
                "parks": "parks",
                "data": "data",
                "http": "127.0.0.1:0",
                **changes,
            },
        )

    def write_gateway(self, gateway: str, *, buses: object, meters: object, **outbox: object) -> None:
        """Write <gateway>.yaml."""
        self._write(
            f"{gateway}.yaml",
            {
                "park": PARK,
                "gateway": gateway,
                "broker": {"host": "127.0.0.1", "port": self.broker.port},
                "clock": "trusted",
                "http": "127.0.0.1:0",
                "outbox": {"path": f"{gateway}.db", **outbox},
                "buses": buses,
                "meters": meters,
            },
        )

    def _write(self, name: str, content: object) -> None:
        (self.folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def run(self, *command: str) -> str:
        """Run a program of ours to its end and give what it printed.

        Raises:
            AssertionError: when it fails, with what it said.
        """
        done = subprocess.run(
            [BIN / command[0], *command[1:]], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (
            f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def start(self, name: str, *command: str) -> Program:
        """Start a program of ours under a name."""
        program = Program(name, [str(BIN / command[0]), *command[1:]], self.folder)
        program.start()
        self.programs[name] = program
        return program

    def start_ingest(self) -> Program:
        """Create the databases and start `zonewise-ingest run`."""
        config = str(self.folder / "ingest.yaml")
        self.run("zonewise-ingest", "init", "--config", config)
        return self.start("ingest", "zonewise-ingest", "run", "--config", config)

    def start_gateway(self, gateway: str, *options: str) -> Program:
        """Start `zonewise-edge run` for a gateway."""
        config = str(self.folder / f"{gateway}.yaml")
        return self.start(gateway, "zonewise-edge", "run", "--config", config, *options)

    def query(self, database: str, influxql: str) -> list[dict[str, Any]]:
        """Ask InfluxDB over plain HTTP, so that the answer owes nothing to code of ours."""
        query = urllib.parse.urlencode({"db": database, "q": influxql, "epoch": "ms"})
        with urllib.request.urlopen(f"{self.influx.url}/query?{query}", timeout=60) as answer:
            (result,) = json.load(answer)["results"]
        assert "error" not in result, result
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def rows(self, measurement: str, *, park: str = PARK) -> list[tuple[str, int]]:
        """Return (meter, time in ms) of every raw point of a measurement."""
        found = self.query(f"{park}_raw", f'SELECT "quality" FROM "{measurement}" GROUP BY *')
        return [(one["tags"]["meter"], row[0]) for one in found for row in one["values"]]

    def close(self) -> None:
        """Stop what runs."""
        for program in reversed(self.programs.values()):
            if program.process is not None and program.process.poll() is None:
                program.kill()


@contextmanager
def chain(folder: Path) -> Iterator[Chain]:
    """Start a broker and an InfluxDB below the folder, and stop everything at the end."""
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "mosquitto"))
        influx = stack.enter_context(Influx(folder / "influx"))
        one = Chain(folder, broker, influx)
        stack.callback(one.close)
        yield one
