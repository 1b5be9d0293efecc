"""The whole chain on one machine: private servers, programs as child processes, a report at the end.

| module | what it holds |
|---|---|
| `demo` | The whole chain on one machine |
| `figures` | What InfluxDB itself says of a demo |
| `program` | A program of ours as a child process |
| `report` | What a demo says at its end: zones' figures, rows' accounts, and whether anything is missing |
| `servers` | Private servers for the demo and the tests |
| `site` | Where a demo lives |
"""
