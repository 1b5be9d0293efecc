"""The commands of `zonewise-edge`, one module each, imported when called.

| module | what it holds |
|---|---|
| `check` | `zonewise-edge check`: is the configuration right, and do bus and uplink keep up? |
| `options` | Options that several commands share |
| `profiles` | `zonewise-edge profiles`: the meter catalogue |
| `read` | `zonewise-edge read METER`: one meter, now |
| `run` | `zonewise-edge run`: the service |
"""
