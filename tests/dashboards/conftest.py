"""A park's databases, filled, on a real InfluxDB: 1.x always, 2.x where the environment names one."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboards.site import Site, Source
from ingest.config import Flavour, StoreConfig
from ingest.store import Store, open_store
from simulators.servers import Influx
from tests.dashboards.filled import FilledPark, raw_lines, rollup_lines


def filled(store: Store, url: str) -> FilledPark:
    # Noon, so that today has begun in the park's time zone.
    now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    site = Site(park="test-park", name="Test park", timezone="Europe/Ljubljana")
    for source in Source:
        store.ensure(site.database(source))
    store.write(site.database(Source.ROLLUP), b"\n".join(rollup_lines(site.park, now)))
    store.write(site.database(Source.RAW), b"\n".join(raw_lines(site.park, now)))
    return FilledPark(site, store, url, now)


@pytest.fixture(scope="session")
def filled_park(shared_influx: Influx) -> Iterator[FilledPark]:
    store = open_store(StoreConfig(flavour=Flavour.ONE, url=shared_influx.url))
    yield filled(store, shared_influx.url)
    store.close()


@pytest.fixture(scope="session")
def filled_park_2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilledPark]:
    named = os.environ.get("ZONEWISE_TEST_INFLUXDB2")
    if named is None:
        pytest.skip("ZONEWISE_TEST_INFLUXDB2=url,token,org names no InfluxDB 2.x")
    url, token, org = named.split(",")
    token_file: Path = tmp_path_factory.mktemp("influxdb2") / "token"
    token_file.write_text(token, encoding="utf-8")
    store = open_store(StoreConfig(flavour=Flavour.TWO, url=url, token_file=token_file, org=org))
    yield filled(store, url)
    store.close()


@pytest.fixture(params=["filled_park", "filled_park_2"], ids=["influxdb-1", "influxdb-2"])
def any_filled_park(request: pytest.FixtureRequest) -> FilledPark:
    park: FilledPark = request.getfixturevalue(request.param)
    return park
