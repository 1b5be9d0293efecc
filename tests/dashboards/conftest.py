"""A park's databases, filled, on a real InfluxDB."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dashboards.site import Site, Source
from ingest.config import Flavour, StoreConfig
from ingest.store import open_store
from simulators.servers import Influx
from tests.dashboards.filled import FilledPark, raw_lines, rollup_lines


@pytest.fixture(scope="session")
def filled_park(shared_influx: Influx) -> Iterator[FilledPark]:
    store = open_store(StoreConfig(flavour=Flavour.ONE, url=shared_influx.url))
    # Noon, so that today has begun in the park's time zone.
    now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    site = Site(park="test-park", name="Test park", timezone="Europe/Ljubljana")
    for source in Source:
        store.ensure(site.database(source))
    store.write(site.database(Source.ROLLUP), b"\n".join(rollup_lines(site.park, now)))
    store.write(site.database(Source.RAW), b"\n".join(raw_lines(site.park, now)))
    yield FilledPark(site, store, shared_influx.url, now)
    store.close()
