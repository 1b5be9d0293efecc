"""What a dashboard consists of, before it becomes Grafana's JSON. Pure but for reading the texts.

| module | what it holds |
|---|---|
| `panel` | What a dashboard consists of, before it becomes Grafana's JSON |
| `queries` | InfluxQL text from series names |
| `site` | The park that dashboards are made for, and every name that it has in Grafana |
| `texts` | The words of the dashboards, one catalogue per language under `dashboards/locales/` |
| `units` | Grafana's unit ids for our units |
"""
