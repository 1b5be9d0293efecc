"""From our boards to Grafana: JSON, provisioning files, push into a running one.

| module | what it holds |
|---|---|
| `committed` | The dashboards that are committed, for review and for import by hand |
| `dashboard_json` | From our boards to Grafana's classic dashboard JSON, through the Grafana Foundation SDK |
| `files` | The JSON files of all dashboards of a park |
| `layout` | Places panels on Grafana's grid of 24 columns, from left to right and top to bottom |
| `look` | Colours, thresholds and words of values: one look for one meaning, on every dashboard |
| `provisioning` | Provisioning files: data sources and dashboards of one or several parks |
| `push` | Puts a park's folder, data sources and dashboards into a running Grafana |
| `views` | From our panels to Grafana's: one function per `View`, through the Grafana Foundation SDK |
"""
