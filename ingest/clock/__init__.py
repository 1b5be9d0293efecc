"""Whether ingest may trust its own clock.

| module | what it holds |
|---|---|
| `clocks` | The clocks that ingest reads: a process has one `Clocks`, tests have one that they move |
| `rules` | When the clock is in doubt, and when the doubt ends |
"""
