"""The gateway as a service: its parts put together, its local pages, systemd.

| module | what it holds |
|---|---|
| `agent` | The gateway's service: meters in, acknowledged messages out. Here its parts are put together |
| `metrics` | The gateway's state as Prometheus reads it; imported when it is first asked for |
| `pages` | The gateway's local pages |
| `systemd` | What a service tells systemd: ready, alive, stopping (sd_notify(3)); without systemd, nothing |
"""
