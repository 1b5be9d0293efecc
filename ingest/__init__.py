"""The server: from MQTT to InfluxDB, and from raw readings to zone figures. From the top down.

| module | what it holds |
|---|---|
| `command_line` | The command line of ingest: `zonewise-ingest COMMAND` |
| `commands/` | The commands, one module each |
| `service/` | The process `run`: one service per park; its pages |
| `rollup/` | The process `rollup`: raw readings into slots, groups and live figures |
| `pipeline/` | One message's way: validate, journal, write, acknowledge; replay |
| `events/` | What a person should know |
| `receive/` | From the broker into a bounded queue; acknowledgements back. Only here is paho imported |
| `clock/` | The clocks, and whether ingest may believe them |
| `validation/` | What is accepted: messages, rows, who may deliver a meter |
| `journal/` | Every message as received; the quarantine |
| `provisioning/` | Secrets, and the broker's files |
| `intervals/` | Counters, slots, zone use: pure |
| `config` | ingest.yaml into frozen types |
| `store/` | InfluxDB. Only here is influxdb-client imported |
| `backoff` | Pauses after failures in a row |
| `errors` | Errors of ingest: whose fault, and will the same try ever work? |
"""
