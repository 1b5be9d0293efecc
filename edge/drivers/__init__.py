"""Reading meters: one folder per protocol, and what all protocols share.

| module | what it holds |
|---|---|
| `contract` | What polling and commissioning know of a protocol: a driver, its open line, and its devices |
| `counts` | What happened while a device was read, as totals |
| `line_timing` | How long a character and the silence between frames take on a line |
| `meter_model` | What every protocol's description of a meter model has in common |
| `missing` | What a meter does not give at present, and when each is asked for again |
| `polled` | What a poll gives |
| `settings` | What a driver is told of a bus and of the devices on it |
| `table` | Which driver reads which protocol; a driver is imported when a bus needs it |
| `transformers` | Ratios of current and voltage transformers, as they stand on the plate |
| `wiring` | How a meter is connected: ratios of its transformers, and the direction of the flow |
| `modbus/` | Modbus TCP and Modbus RTU: from a table of registers to values in base units |
"""
