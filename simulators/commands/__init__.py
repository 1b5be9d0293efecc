"""The commands of `zonewise-sim`, one module each, imported when called.

| module | what it holds |
|---|---|
| `demo` | `zonewise-sim demo`: the whole chain on one machine |
| `fault` | `zonewise-sim fault`: let something go wrong in a running simulated park |
| `load` | `zonewise-sim load`: how much a broker, an ingest and an InfluxDB take |
| `park` | `zonewise-sim park`: simulated meters on real wires |
"""
