"""From polls to messages: stamped with the time of day, packed, sealed.

| module | what it holds |
|---|---|
| `assembler` | Packs readings into messages |
| `clock` | The UTC time of each poll; keeps polls until the time is known |
| `intake` | From polls to the outbox: stamped, packed, sealed, appended |
| `system_clock` | The clocks of this machine, and whether the wall clock is synchronised |
"""
