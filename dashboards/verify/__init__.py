"""Every panel's query against a live store.

| module | what it holds |
|---|---|
| `panels` | Runs every panel's query against a live store |
| `render` | Turns a panel's query into the text that Grafana sends for a time range |
"""
