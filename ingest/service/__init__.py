"""The process `zonewise-ingest run`: one service per park, health pages, clean stop.

| module | what it holds |
|---|---|
| `health` | Local pages: `/healthz`, `/status` and `/metrics`, from snapshots of each park |
| `park` | A park while ingest runs: its connection, pipeline, acknowledgements, events and gateway states |
| `process` | The process of `zonewise-ingest run` |
"""
