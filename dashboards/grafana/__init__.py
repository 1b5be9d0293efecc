"""From our boards to Grafana: JSON, provisioning files, push into a running one.

| module | what it holds |
|---|---|
| `committed` | The dashboards that are committed |
| `dashboard_json` | From our boards to Grafana's classic dashboard JSON, through the Grafana Foundation SDK |
| `files` | The JSON files of all dashboards of a park |
| `layout` | Places panels on Grafana's grid of 24 columns, from left to right and top to bottom |
| `look` | Colours, thresholds and words of values: one look for one meaning, on every dashboard |
| `provisioning` | Files with which a Grafana sets itself up |
| `push` | Puts a park's folder |
| `views` | From our panels to Grafana's: one function per `View`, through the Grafana Foundation SDK |
"""
