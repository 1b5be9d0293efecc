"""The whole chain on one machine, from simulated meters on real wires to a zone's figures in InfluxDB.

Order: servers, databases, ingest and rollup, the simulated park, gateways, first live rows, history and its
rollup, live running, a clean stop from the meters' side on, and a report. When a program ends early, the
demo ends and shows the end of its log; no child process is left.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from metering.park.dated import to_ms
from metering.park.file import load_park
from metering.park.model import Park
from metering.program.connection import Broker
from metering.quantities import Medium
from metering.series import SLOT_MS
from simulators.demo.figures import Figures
from simulators.demo.program import Program, nearby, run_to_end, tail
from simulators.demo.report import Outcome, find_problems, report
from simulators.demo.servers import Influx, Mosquitto, Server
from simulators.demo.site import Site, empty_folder, write_site
from simulators.errors import DemoFailed, first_of
from simulators.gateways.accounts import RowAccount
from simulators.gateways.history import HistorySpan
from simulators.gateways.history_courier import Progress, send_history
from simulators.gateways.statuses import read_statuses
from simulators.loads.flows import Load, build_loads, days_until, default_origin_ms
from simulators.loads.shapes import Calendar
from simulators.park.park import wall_ms
from simulators.wires import Wires, load_wires

_FIRST_ROWS_S = 120.0
_READY_S = 90.0
_ROLLUP_STANDS_STILL_S = 240.0
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How to run a demo.

    Attributes:
        folder: Folder of all its files; emptied at the start.
        park: Folder of the park's files.
        days: Length of the history.
        maybe_for_s: Seconds of live running; `None` = until Ctrl-C.
    """

    folder: Path
    park: Path
    days: int
    maybe_for_s: float | None


def run_demo(options: DemoOptions) -> bool:
    """Run a demo; return whether nothing was lost and every zone has data.

    Raises:
        DemoIsRunning: when another one runs in the folder.
        SimulatorError: when it cannot continue.
        KeyboardInterrupt: when it is stopped before it runs live.
    """
    with empty_folder(options.folder), ExitStack() as stack:
        click.echo("Starting Mosquitto and InfluxDB")
        broker = stack.enter_context(Mosquitto(options.folder / "mosquitto"))
        influx = stack.enter_context(Influx(options.folder / "influxdb"))
        site = write_site(options.folder, options.park, broker_port=broker.port, store_url=influx.url)
        demo = stack.enter_context(_demo(options, site, broker, influx))
        demo.start()
        history = demo.bring_history()
        demo.live()
        outcome = demo.finish(history)
    click.echo(report(outcome))
    click.echo(f"Logs are in {nearby(site.logs)}")
    return not any(find_problems(outcome))


@contextmanager
def _demo(options: DemoOptions, site: Site, broker: Mosquitto, influx: Influx) -> Iterator["Demo"]:
    demo = Demo(options, site, broker, influx)
    try:
        yield demo
    finally:
        demo.kill()


class Demo:
    """One run, between its servers' start and stop."""

    def __init__(self, options: DemoOptions, site: Site, broker: Mosquitto, influx: Influx) -> None:
        self._options = options
        self._site = site
        self._servers: tuple[Server, ...] = (broker, influx)
        self._broker = Broker(host="127.0.0.1", port=broker.port)
        self._park: Park = load_park(site.folder / "parks" / "park.yaml")
        self._wires: Wires = load_wires(site.simulated)
        self._figures = Figures(influx.url, self._park.id)
        self._origin_ms = default_origin_ms(wall_ms(), days=options.days)
        self._programs: dict[str, Program] = {}

    def start(self) -> None:
        """Start all programs, and wait for the first row of every meter.

        Raises:
            DemoFailed: when one ends early or a meter gives no row.
        """
        ingest = str(self._site.ingest)
        run_to_end("init", "ingest", "init", "--config", ingest, folder=self._site.folder)
        self._begin("ingest", "ingest", "run", "--config", ingest)
        self._begin("rollup", "ingest", "rollup", "--config", ingest, "--park", self._park.id)
        self._start_park()
        for gateway in self._wires.gateways:
            name = gateway.gateway
            self._begin(name, "edge", "run", "--config", str(self._site.gateway(name)))
        self._tell_places()
        wanted = {meter for gateway in self._wires.gateways for meter in gateway.meter_ids}
        click.echo(f"Waiting for the first rows of {len(wanted)} meters")
        self._wait_for(
            lambda: wanted <= self._figures.first_rows_ms().keys(),
            timeout_s=_FIRST_ROWS_S,
            what=lambda: f"no row of {', '.join(sorted(wanted - self._figures.first_rows_ms().keys()))}",
        )

    def _start_park(self) -> None:
        since = datetime.fromtimestamp(self._origin_ms / 1000, UTC).strftime("%Y-%m-%d")
        # Relative, as are all programs: the path of a socket has room for 107 characters only.
        place = ("--config", str(self._site.simulated), "--socket", self._site.socket.name)
        self._begin("park", "simulators", "park", *place, "--since", since)
        self._wait_for(
            self._site.socket.exists, timeout_s=_READY_S, what=lambda: "the simulated park does not start"
        )

    def _tell_places(self) -> None:
        broker, influx = self._servers
        click.echo(f"  MQTT 127.0.0.1:{broker.port}, InfluxDB http://127.0.0.1:{influx.port}")
        for name, address in self._site.http.items():
            click.echo(f"  {name}: http://{address}/status")
        click.echo(f"  logs: {nearby(self._site.logs)}")
        click.echo(f"  faults: zonewise-sim fault --park-socket {nearby(self._site.socket)} --help")

    def bring_history(self) -> tuple[RowAccount, ...]:
        """Send the history, and wait until it is acknowledged and rolled up.

        Raises:
            SimulatorError: when it makes no progress.
        """
        span = HistorySpan(min(self._figures.first_rows_ms().values()), self._options.days)
        click.echo(f"Sending {span.days} days of history in {len(span.instants):,} steps of 5 min")
        sending = send_history(
            self._wires,
            self._loads(),
            self._broker,
            span,
            folder=self._site.folder,
            check=self._check,
        )
        try:
            accounts = asyncio.run(sending)
        except ExceptionGroup as group:
            raise first_of(group) from group
        click.echo("Waiting until it is rolled up")
        self._wait_for_rollup(span)
        return accounts

    def _loads(self) -> dict[str, Load]:
        meters = [meter for gateway in self._wires.gateways for meter in gateway.meter_ids]
        days = days_until(wall_ms(), self._origin_ms)
        return build_loads(self._wires.loads, meters, Calendar(self._origin_ms, days, self._wires.timezone))

    def _wait_for_rollup(self, span: HistorySpan) -> None:
        first_ms = -(-span.instants[0] // SLOT_MS) * SLOT_MS
        last_ms = span.instants[-1] // SLOT_MS * SLOT_MS
        slots = (last_ms - first_ms) // SLOT_MS
        wanted = slots * (len(self._park.zones) + len(self._zones_with_water))
        progress = Progress("quarter hours of zones", wanted, check=self._check)
        best, since_s = 0, time.monotonic()
        while best < wanted:
            time.sleep(_LOOK_S)
            done = sum(sum(counts) for counts in self._figures.slot_counts(first_ms, last_ms).values())
            if done > best:
                best, since_s = done, time.monotonic()
            progress.at(done)
            if time.monotonic() - since_s > _ROLLUP_STANDS_STILL_S:
                raise DemoFailed(
                    f"rollup stands still at {best} of {wanted}:\n{tail(self._programs['rollup'].log)}"
                )

    def live(self) -> None:
        """Run live, until the time is over or Ctrl-C."""
        maybe_for_s = self._options.maybe_for_s
        until = "Ctrl-C" if maybe_for_s is None else f"{maybe_for_s:g} s are over"
        click.echo(f"Running live until {until}")
        deadline_s = float("inf") if maybe_for_s is None else time.monotonic() + maybe_for_s
        try:
            while time.monotonic() < deadline_s:
                self._check()
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            click.echo("\nStopping")

    def finish(self, history: tuple[RowAccount, ...]) -> Outcome:
        """Stop everything in order and return the report.

        Raises:
            DemoFailed: when a program does not stop cleanly.
        """
        day, from_ms, until_ms = self._yesterday()
        figures = self._figures.zones(from_ms, until_ms)
        for gateway in self._wires.gateways:
            self._programs[gateway.gateway].stop()
        accounts = (*self._gateway_accounts(), *history)
        for name in ("ingest", "rollup", "park"):
            self._programs[name].stop()
        counts = self._figures.row_counts()
        return Outcome(
            day=day,
            zones={zone: group.name for zone, group in self._park.zones.items()},
            figures=figures,
            with_water=self._zones_with_water,
            accounts=accounts,
            stored={
                gateway.gateway: sum(counts.get(meter, 0) for meter in gateway.meter_ids)
                for gateway in self._wires.gateways
            },
        )

    def _gateway_accounts(self) -> Iterator[RowAccount]:
        gateways = tuple(gateway.gateway for gateway in self._wires.gateways)
        statuses = asyncio.run(read_statuses(self._broker, self._park.id, gateways))
        for gateway in gateways:
            if gateway not in statuses:
                raise DemoFailed(f"{gateway} left no status with the broker")
            for account in statuses[gateway].accounts:
                yield RowAccount(f"{gateway} live", gateway, account)

    def kill(self) -> None:
        """End all programs that still run."""
        for program in reversed(self._programs.values()):
            program.kill()

    @property
    def _zones_with_water(self) -> frozenset[str]:
        water = [meter for meter in self._park.meters.values() if meter.medium is Medium.WATER]
        return frozenset(place.zone for meter in water for place in meter.place.values)

    def _yesterday(self) -> tuple[str, int, int]:
        today = datetime.now(self._park.timezone).date()
        day = today - timedelta(days=1)
        zone = self._park.timezone
        return f"{day:%a %d %b %Y}, {zone.key}", to_ms(day, zone), to_ms(today, zone)

    def _begin(self, name: str, module: str, *arguments: str) -> None:
        self._programs[name] = Program(name, module, *arguments, folder=self._site.folder)

    def _check(self) -> None:
        for program in self._programs.values():
            program.check()
        for server in self._servers:
            if not server.is_running:
                raise DemoFailed(f"{server.program} has ended early:\n{tail(server.log)}")

    def _wait_for(self, condition: Callable[[], bool], *, timeout_s: float, what: Callable[[], str]) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            self._check()
            if time.monotonic() > deadline_s:
                raise DemoFailed(
                    f"{what()} after {timeout_s:.0f} s; see the logs in {nearby(self._site.logs)}"
                )
            time.sleep(_LOOK_S)
