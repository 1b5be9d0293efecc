"""Whether ingest may believe its own clock.

| module | what it holds |
|---|---|
| `clocks` | The clocks that ingest reads: a process has one `Clocks`, tests have one that they move |
| `rules` | Whether ingest may believe its own clock |
"""
