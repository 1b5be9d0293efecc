"""The one place that knows influxdb-client: write, query, delete, per flavour of InfluxDB."""

from ingest.store.contract import Series, Store, TokenMaker
from ingest.store.influx import open_store

__all__ = ["Series", "Store", "TokenMaker", "open_store"]
