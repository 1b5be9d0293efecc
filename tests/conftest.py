"""Real servers for tests: started by fixtures on free loopback ports, stopped by them."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from simulators.servers import Influx, Mosquitto, Server, maybe_program

# No test asserts time, not even by a tool's default: continuous integration runs on small, busy machines.
hypothesis.settings.register_profile("zonewise", deadline=None)
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
