"""Events, and the statuses of gateways in the database.

| module | what it holds |
|---|---|
| `open_events` | The open events of a park: opened, repeated while they last, closed |
| `reports` | Writes events and gateway statuses into the park's rollup database, best effort |
| `texts` | Texts of events for people, from the catalogues in `metering/locales` |
"""
