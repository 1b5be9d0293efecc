"""Reading meters: one folder per protocol, and what all protocols share.

| module | what it holds |
|---|---|
| `counts` | What happened while a device was read, as totals |
| `missing` | Registers that a meter does not give at present, and when each is asked for again |
| `polled` | What a poll gives |
| `settings` | What a driver is told of a bus and of the devices on it |
| `transformers` | Ratios of current and voltage transformers, as they stand on the plate |
| `modbus/` | Modbus TCP and Modbus RTU: from a table of registers to values in base units |
"""
