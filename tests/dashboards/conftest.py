"""A park's databases, filled, on a real InfluxDB: 1.x always, 2.x where the environment names one."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dashboards.model.site import Site, Source
from ingest.store.contract import Store
from ingest.store.influx import open_store
from ingest.store.settings import Flavour, StoreConfig
from simulators.demo.servers import Influx
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
def filled_park_2(influxdb2: StoreConfig) -> Iterator[FilledPark]:
    store = open_store(influxdb2)
    yield filled(store, influxdb2.url)
    store.close()


@pytest.fixture(params=["filled_park", "filled_park_2"], ids=["influxdb-1", "influxdb-2"])
def any_filled_park(request: pytest.FixtureRequest) -> FilledPark:
    park: FilledPark = request.getfixturevalue(request.param)
    return park
