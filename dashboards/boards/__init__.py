"""The dashboards that the product has, one module each.

| module | what it holds |
|---|---|
| `gateway_health` | Gateway and meter health |
| `table` | The dashboards that the product has |
| `zone_overview` | The zone overview: what a facility manager looks at in the morning, most urgent first |
"""
