"""Modbus TCP and Modbus RTU: from a table of registers to values in base units.

| module | what it holds |
|---|---|
| `bus` | One physical line: a block in, its bytes out, or an error of the `BusError` tree |
| `decode` | Answers of a meter -> values in base units |
| `device` | One device on a bus: who it is, what is read of it, and the rows that come of it |
| `driver` | Modbus, as `edge.drivers.contract` wants a protocol |
| `framing` | Finds the answer to a request among received bytes |
| `inspection` | A device read once by hand, with the registers behind each quantity |
| `missing` | Registers that a meter does not give at present, and when each is asked for again |
| `plan` | Which registers are read in one request, and how long that takes |
| `profile` | What a meter model is: frozen types that the catalogue's tables become |
| `reads` | What is read of a device at each poll: the blocks by poll class, without what is missing |
| `registers` | Bytes of Modbus registers <-> exact values, without any I/O |
| `rows` | Answers of a poll -> rows, one per meter of the device |
| `scale` | From raw to base units and back: exact factors, with the registers that some meters keep them in |
"""
