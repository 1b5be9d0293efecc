"""What a dashboard consists of, before it becomes Grafana's JSON. Pure, except `languages`.

| module | what it holds |
|---|---|
| `languages` | Reads the texts of the dashboards: one file per language under `dashboards/locales/` |
| `panel` | What a dashboard consists of, before it becomes Grafana's JSON |
| `queries` | InfluxQL text from series names |
| `site` | The park that dashboards are made for, and every name that it has in Grafana |
| `texts` | The texts of the dashboards in one language |
| `units` | Grafana's unit ids for our units |
"""
