"""The gateway as a service: its assembly, its local pages, systemd.

| module | what it holds |
|---|---|
| `agent` | The gateway's service, assembled from its parts: reads meters, delivers their rows |
| `metrics` | The gateway's state for Prometheus; imported at the first request |
| `pages` | The gateway's local pages |
| `systemd` | Messages to systemd: ready, alive, stopping (sd_notify(3)) |
"""
