"""The language that all parts of zonewise share: what is measured, and how it travels.

It imports none of our other packages.

| module | what it holds |
|---|---|
| `messages/` | What travels between gateways and ingest: each message, its encoder, its decoder; the topics |
| `park/` | What a reading means: the park, its meters and their dated relations |
| `program/` | What every program needs: configuration, command line, local pages, logs, broker connection |
| `errors` | Errors that all programs share |
| `names` | Identifiers: the only names that may stand in a topic, a tag or a database name |
| `quantities` | What can be measured: the closed vocabulary of quantities |
| `readings` | A reading as it leaves the meter: the row |
| `series` | Names in InfluxDB: databases, measurements, tags and fields |
"""
