"""Grafana dashboards and provisioning as code: InfluxQL over the series that `ingest` writes."""
