"""The programs of compose.yaml with its own commands and files, as processes instead of containers.

What differs: paths and hosts of containers become local ones, and InfluxDB is Debian's 1.x, which has no tokens,
so `init` runs without them and ingest.yaml names another store.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from metering.park.file import load_park
from simulators.demo.servers import Influx, free_port, maybe_program
from tests.architecture.compose_file import ROOT, SERVICES, mounts
from tests.peers.compose_broker import ComposeBroker
from tests.system.chain import Chain, wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow]
GATEWAYS = ("gw-1", "gw-2")
PARK = load_park(ROOT / "simulators/parks/demo/park.yaml")
METERS, ZONES = frozenset(PARK.meters), set(PARK.zones)


class Here:
    """Turns what stands in compose.yaml and its files into local paths and ports."""

    def __init__(self, folder: Path, broker: ComposeBroker, influx_url: str) -> None:
        self.folder = folder
        self._words = {
            "host: mosquitto, port: 1883": f"host: 127.0.0.1, port: {broker.port}",
            "host: mosquitto, port: 1884": f"host: 127.0.0.1, port: {broker.ingest_port}",
            "store: {flavour: 2": f'store: {{flavour: 1, url: "{influx_url}"}} # {{flavour: 2',
            "127.0.0.1:9102": "127.0.0.1:0",
            "127.0.0.1:9101": "127.0.0.1:0",
            "127.0.0.1:9103": "127.0.0.1:0",
            **{f"park:{port}": f"127.0.0.1:{free_port()}" for port in (5020, 4001, 4002)},
        }

    def text(self, written: str, service: str) -> str:
        """Return a file's text or an option's value for a service."""
        for word, instead in self._words.items():
            written = written.replace(word, instead)
        written = written.replace("/var/lib/zonewise", f"{self.folder}/{service}-data")
        return re.sub(r"(?<![\w.])/(secrets|parks|park|grafana|etc)\b", rf"{self.folder}/\1", written)

    def command(self, service: str) -> list[str]:
        """Return a service's command, after putting the files that it mounts in their place."""
        (self.folder / f"{service}-data").mkdir()
        for mount in mounts(SERVICES[service]):
            if mount.is_file_of_ours:
                path = Path(self.text(self._own(mount.target, service), service))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(
                    self.text((ROOT / mount.source).read_text(encoding="utf-8"), service), encoding="utf-8"
                )
        return [self.text(self._own(word, service), service) for word in SERVICES[service]["command"]]

    def _own(self, path: str, service: str) -> str:
        """Two services may mount different files at one path."""
        return path.replace("/etc/zonewise", f"/etc/zonewise/{service}")


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    for program in ("mosquitto", "influxd"):
        if maybe_program(program) is None:
            pytest.skip(f"{program} is not installed (make setup installs it)")
    with ExitStack() as stack:
        broker = ComposeBroker(tmp_path)
        running = Chain(tmp_path, broker, stack.enter_context(Influx(tmp_path / "influx")))
        here = Here(tmp_path, broker, running.influx.url)
        running.run(*here.command("secrets"))
        stack.enter_context(broker)
        stack.callback(running.close)
        start(running, here)
        yield running


def start(chain: Chain, here: Here) -> None:
    init = here.command("init")
    chain.run(*init[: init.index("--admin-token-file")])
    for service in ("ingest", "rollup", "park"):
        chain.start(service, *here.command(service))
    wait_until("simulated park", lambda: "park runs" in chain.programs["park"].log)
    for service in GATEWAYS:
        chain.start(service, *here.command(service))


def zones_now(chain: Chain) -> set[str]:
    found = chain.query(
        "demo_rollup", 'SELECT last("power") FROM "group_live" WHERE "level" = \'zone\' GROUP BY "group"'
    )
    return {series["tags"]["group"] for series in found}


def test_every_meter_and_zone_arrives_and_the_gateways_stop_cleanly(chain: Chain) -> None:
    def missing() -> frozenset[str]:
        return METERS - {meter for medium in ("electricity", "water") for meter, _ in chain.rows(medium)}

    wait_until("readings of every meter", lambda: not missing(), timeout_s=90)

    wait_until("live figures of every zone", lambda: zones_now(chain) == ZONES, timeout_s=60)

    assert [chain.programs[gateway].stop() for gateway in GATEWAYS] == [0, 0]
    stored = chain.query("demo_rollup", 'SELECT last("stored") FROM "gateway_status" GROUP BY "gateway"')
    assert {series["tags"]["gateway"] for series in stored} == set(GATEWAYS)
