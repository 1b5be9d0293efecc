"""The one place that knows influxdb-client: write, query, delete, per flavour of InfluxDB."""

from ingest.store.contract import Series, Store
from ingest.store.influx import open_store

__all__ = ["Series", "Store", "open_store"]
