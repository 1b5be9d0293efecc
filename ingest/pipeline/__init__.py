"""One message's way: validated, journaled, written, acknowledged; and the same again in a replay.

| module | what it holds |
|---|---|
| `ahead` | Entries of the quarantine that were ahead of the clock, by when they are due |
| `pipeline` | One park's way from the broker to InfluxDB: receive, validate, journal, write, acknowledge |
| `refusals` | Entries of the quarantine for messages and rows that were refused |
| `replay` | Validates again what the journal or the quarantine holds, and writes it |
| `revalidation` | Validates again what was ahead of the clock, once its time has come |
| `supervision` | Validation that never raises, whatever the bytes |
| `writer` | Writes rows into InfluxDB: retry, split, bisect, pause |
"""
