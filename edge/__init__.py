"""The gateway: meters on their buses in, acknowledged messages out. From the top down.

| module | what it holds |
|---|---|
| `command_line` | The command line of the gateway: `zonewise-edge COMMAND` |
| `commands/` | The commands, one module each |
| `service/` | The parts put together; local pages; systemd |
| `commissioning/` | The technician's tools: one meter read and explained, the cost of a configuration |
| `polling/` | Which device is polled when; the state of buses and meters |
| `uplink/` | MQTT connection, messages in flight, resends |
| `batching/` | Time stamps; rows into messages |
| `outbox/` | Messages until they are acknowledged: memory first, disk on need |
| `config/` | gateway.yaml into frozen types |
| `catalogue/` | Meter models as tables, and how they are read |
| `drivers/` | Reading meters: one folder per protocol |
| `errors` | Errors of the gateway: whose fault, and will the same try ever work? |
"""
