"""One message's way: validated, journaled, written, acknowledged; and the same again in a replay.

| module | what it holds |
|---|---|
| `ahead` | Entries of the quarantine that were ahead of the clock, by when they are due |
| `journal_and_quarantine` | Journal and quarantine behind one lock; entries of refused messages and rows |
| `revalidation` | Validates again what was ahead of the clock, once its time has come |
| `pipeline` | One park's way from the broker to InfluxDB: receive, validate, journal, write, acknowledge |
| `replay` | Validates again what the journal or the quarantine holds, and writes it |
| `supervision` | Validation that never raises, whatever the bytes |
| `writer` | Writes rows into InfluxDB: retry, split, bisect, pause |
"""
