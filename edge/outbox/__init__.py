"""Messages are held here until ingest acknowledges them: in memory first, on disk on need.

| module | what it holds |
|---|---|
| `backlog` | The messages that are only on the disk, read a few at a time, oldest first |
| `disk` | The part of the outbox that is on disk: a SQLite file. Used by one thread, the outbox's writer |
| `entry` | An entry of the outbox: one message in the form in which it travels, now and at every resend |
| `ledger` | The rows of each epoch as an account |
| `memory` | The part of the outbox that is in memory: the newest messages of one epoch, in rising seq |
| `outbox` | The outbox: holds messages until ingest acknowledges them. Memory first, disk on need |
| `pending_deletions` | Messages that are acknowledged and not yet deleted from the disk |
| `settings` | Settings, clocks and state of an outbox: frozen types |
| `sql` | The outbox's file, statement by statement: layout 1 |
| `writer` | The outbox's disk for the event loop: one thread, retries, a new file for a damaged one |
"""
