"""A running simulated park and its control socket.

| module | what it holds |
|---|---|
| `control` | The control socket of a simulated park: orders in, one sentence back; one JSON object a line |
| `park` | A running simulated park |
"""
