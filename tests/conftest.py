"""Real servers for tests: started by fixtures on free loopback ports, stopped by them.

But for InfluxDB 2.x, which Debian does not have: ZONEWISE_TEST_INFLUXDB2=url,token,org names one, with an
operator's token; where it names none, what needs it is skipped.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from ingest.store.contract import Store
from ingest.store.influx import open_store
from ingest.store.settings import Flavour, StoreConfig
from simulators.demo.servers import Influx, Mosquitto, Server, maybe_program

# No test asserts time, not even by a tool's default: continuous integration runs on small, busy machines.
hypothesis.settings.register_profile("zonewise", deadline=None)
# pytest --hypothesis-profile=thorough
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("zonewise")


def _or_skip(kind: type[Server]) -> None:
    if maybe_program(kind.program) is None:
        pytest.skip(f"{kind.program} is not installed (make setup installs it)")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto of its own for one test."""
    _or_skip(Mosquitto)
    with Mosquitto(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx]:
    """An InfluxDB of its own for one test, which may kill it."""
    _or_skip(Influx)
    with Influx(tmp_path / "influx") as server:
        yield server


@pytest.fixture(scope="session")
def shared_influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """One InfluxDB for tests that take a database name of their own and leave it running."""
    _or_skip(Influx)
    with Influx(tmp_path_factory.mktemp("influx")) as server:
        yield server


@pytest.fixture(scope="session")
def influxdb2(tmp_path_factory: pytest.TempPathFactory) -> StoreConfig:
    """An InfluxDB 2.x, and an operator's token for it."""
    named = os.environ.get("ZONEWISE_TEST_INFLUXDB2")
    if named is None:
        pytest.skip("ZONEWISE_TEST_INFLUXDB2=url,token,org names no InfluxDB 2.x")
    url, token, org = named.split(",")
    token_file = tmp_path_factory.mktemp("influxdb2") / "token"
    token_file.write_text(token, encoding="utf-8")
    return StoreConfig(flavour=Flavour.TWO, url=url, token_file=token_file, org=org)


@pytest.fixture
def influxdb1(shared_influx: Influx) -> Iterator[Store]:
    """A store on the shared InfluxDB 1.x."""
    store = open_store(StoreConfig(flavour=Flavour.ONE, url=shared_influx.url))
    yield store
    store.close()


@pytest.fixture(params=["influxdb-1", "influxdb-2"])
def any_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each InfluxDB in turn, for tests that take databases of their own."""
    if request.param == "influxdb-1":
        server: Influx = request.getfixturevalue("shared_influx")
        config = StoreConfig(flavour=Flavour.ONE, url=server.url)
    else:
        config = request.getfixturevalue("influxdb2")
    store = open_store(config)
    yield store
    store.close()
