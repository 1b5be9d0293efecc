"""gateway.yaml: its form, and the frozen types that the gateway uses.

| module | what it holds |
|---|---|
| `gateway` | gateway.yaml, parsed once into frozen types without touching the network |
| `gateway_file` | The form of gateway.yaml; `edge.config.gateway` turns it into what the programs use |
"""
