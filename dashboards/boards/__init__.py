"""The dashboards that the product has, one module each.

| module | what it holds |
|---|---|
| `gateway_health` | Gateway and meter health |
| `table` | The dashboards that the product has |
| `zone_overview` | The zone overview: the daily dashboard of a facility manager, most urgent first |
"""
