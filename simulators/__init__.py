"""A simulated park on real wires, for the demo, the tests and the bench. All its data is simulated.

| module | what it holds |
|---|---|
| `command_line` | The command line of the simulators: `zonewise-sim COMMAND` |
| `commands/` | The commands, one module each |
| `demo/` | The whole chain on one machine, with a report at the end |
| `gateways/` | Messages in the name of gateways: history, load generator |
| `park/` | A running simulated park and its control socket |
| `lines/` | Lines of simulated meters: pty and TCP |
| `meters/` | Simulated meters: values, registers, frames, faults |
| `loads/` | What flows in a simulated park, as functions of time |
| `wires` | What to simulate, read from files: gateways' configuration and a table of loads |
| `errors` | Errors of the simulators |
"""
