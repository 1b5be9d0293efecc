"""What travels between gateways and ingest: each message with its encoder and its decoder, and the topics.

| module | what it holds |
|---|---|
| `ack` | The acknowledgement (ingest -> gateway): what is safe, row by row |
| `birth` | The birth (gateway -> ingest, retained): what the gateway's meters are |
| `data` | The data message of a gateway: columnar JSON, schema 1 (docs/schema.md shows one) |
| `json_body` | JSON bodies of messages |
| `status` | The status (gateway -> ingest, retained): is it online, and where are its rows |
| `topics` | MQTT topics |
"""
