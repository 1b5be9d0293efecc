"""The commands of `zonewise-dashboards`, one module each, imported when called.

| module | what it holds |
|---|---|
| `build` | `zonewise-dashboards build`: the files with which a Grafana sets itself up |
| `options` | Options that several commands share |
| `push` | `zonewise-dashboards push`: into a Grafana that is running |
| `sites` | Reads the park descriptions that dashboards are made for |
| `verify` | `zonewise-dashboards verify`: every panel's query against a live InfluxDB |
"""
