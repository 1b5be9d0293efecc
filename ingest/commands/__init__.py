"""The commands of `zonewise-ingest`, one module each, imported when called.

| module | what it holds |
|---|---|
| `init` | `zonewise-ingest init`: the databases of the parks, and on 2.x the tokens |
| `journal` | `zonewise-ingest journal list|replay` |
| `options` | Options that several commands share |
| `quarantine` | `zonewise-ingest quarantine list|replay` |
| `replay` | `zonewise-ingest journal replay` and `zonewise-ingest quarantine replay` |
| `rollup` | `zonewise-ingest rollup` |
| `run` | `zonewise-ingest run`: the service |
| `secrets` | `zonewise-ingest secrets`: passwords and tokens for a new installation |
"""
