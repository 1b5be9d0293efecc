"""From MQTT to InfluxDB: journal, validation, raw store, rollup.

`ingest.store` is the one module that knows influxdb-client, `ingest.receive.subscriber` the one that knows
paho.
"""
