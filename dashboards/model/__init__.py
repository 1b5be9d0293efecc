"""What a dashboard consists of, before it becomes Grafana's JSON. Pure but for reading the texts.

| module | what it holds |
|---|---|
| `languages` | Reads the words of the dashboards: one file per language under `dashboards/locales/` |
| `panel` | What a dashboard consists of, before it becomes Grafana's JSON |
| `queries` | InfluxQL text from series names |
| `site` | The park that dashboards are made for, and every name that it has in Grafana |
| `texts` | The words of the dashboards in one language |
| `units` | Grafana's unit ids for our units |
"""
