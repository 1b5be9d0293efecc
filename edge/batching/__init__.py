"""From polls to messages: stamped with the time of day, packed, sealed.

| module | what it holds |
|---|---|
| `assembler` | Readings in, messages out: what a gateway publishes, packed |
| `clock` | What time it was when a meter answered |
| `intake` | From polls to the outbox: stamped, packed, sealed, appended |
| `system_clock` | The clocks of this machine, and whether the wall clock is synchronised |
"""
