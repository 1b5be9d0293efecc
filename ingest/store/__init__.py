"""InfluxDB: the one folder that knows influxdb-client; write, query, delete, per flavour.

| module | what it holds |
|---|---|
| `answers` | What InfluxDB's answers mean |
| `connection` | The client's connection: requests out, answers or our errors back |
| `contract` | What a store does, whatever the version of InfluxDB |
| `errors` | Errors of InfluxDB: will the same try ever work? |
| `influx` | The stores: InfluxDB 1.x, 2.x and (experimental) 3, each with its paths |
| `influxql` | InfluxQL's quoting |
| `line_protocol` | InfluxDB line protocol, times in milliseconds |
| `settings` | Where InfluxDB is: the part of a configuration that names a store |
| `time_limit` | HTTP answers that must be whole within the time-out |
"""
