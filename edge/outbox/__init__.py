"""Messages wait here until ingest says that they are safe: in memory first, on disk on need.

| module | what it holds |
|---|---|
| `backlog` | The messages that are only on the disk, read a few at a time, oldest first |
| `disk` | The part of the outbox that is on disk: a SQLite file. Used by one thread, the outbox's writer |
| `entry` | An entry of the outbox: one message in the form in which it travels, now and at every resend |
| `ledger` | The rows of each epoch as an account |
| `memory` | The part of the outbox that is in memory: the newest messages of one epoch, in rising seq |
| `outbox` | The outbox: messages wait here until ingest says that they are safe. Memory first, disk on need |
| `pending_deletions` | What is done with but still stands on the disk: deleted together, now and then |
| `settings` | What an outbox is told, and what it tells: frozen types |
| `sql` | The outbox's file, statement by statement: layout 1 |
| `writer` | The outbox's disk seen from the event loop |
"""
