"""One message's way: validated, journaled, written, acknowledged; and the same again in a replay.

| module | what it holds |
|---|---|
| `ahead` | What lies ahead of the clock and waits in the quarantine until its time has come |
| `journal_and_quarantine` | The disks of ingest |
| `revalidation` | Validates again what was ahead of the clock, once its time has come |
| `pipeline` | One park's way from the broker to InfluxDB: receive, judge, journal, write, acknowledge |
| `replay` | Replay: judge again what the journal holds, and write it |
| `supervision` | Validation of a stranger's bytes that never raises (`ingest.receive.supervision`) |
| `writer` | Rows into InfluxDB: retry, split, bisect, pause |
"""
