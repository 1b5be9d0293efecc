"""Events, and the statuses of gateways in the database.

| module | what it holds |
|---|---|
| `book` | The open events of a park: opened, repeated while they last, closed |
| `reports` | Writes events and gateway statuses into the park's rollup database, best effort |
"""
