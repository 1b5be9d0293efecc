"""The whole chain on one machine: private servers, programs as child processes, a report at the end.

| module | what it holds |
|---|---|
| `demo` | The whole chain on one machine |
| `figures` | The figures of a demo as InfluxDB has them |
| `program` | A program of ours as a child process |
| `report` | The report at the end of a demo: zones' figures, accounts of rows, and what is missing |
| `servers` | Private servers for the demo and the tests |
| `site` | The folder of a demo: configuration, data and logs |
"""
