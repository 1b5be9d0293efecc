"""The connection to ingest: window of messages in flight, resends, acknowledgements.

| module | what it holds |
|---|---|
| `connect_errors` | Why the broker could not be reached: exceptions of sockets and TLS as texts |
| `delivery` | Delivery end to end: sends an outbox's messages until ingest acknowledges them |
| `link_end` | How a connection to the broker ended, as a text with what to do about it |
| `mqtt` | MQTT 5 for programs that run an event loop: the only module here that knows paho |
| `pace` | How long to wait for an acknowledgement, and how fast to send |
| `reconnect` | When to connect to the broker again, and what is logged about it |
| `session` | The gateway's connection to its park: birth, data, status, and the last status at a stop |
| `window` | Which messages are in flight, what may be sent now, and what must be resent |
"""
