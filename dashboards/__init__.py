"""Grafana dashboards and provisioning as code: InfluxQL over the series that `ingest` writes.

| module | what it holds |
|---|---|
| `commands/` | The commands of `zonewise-dashboards`, one module each |
| `verify/` | Every panel's query against a live store |
| `grafana/` | From our boards to Grafana: JSON, provisioning files, push into a running one |
| `boards/` | The dashboards that the product has, one module each |
| `model/` | Panels, queries, texts and names, before they become Grafana's JSON |
| `errors` | Errors of the dashboards |
"""
