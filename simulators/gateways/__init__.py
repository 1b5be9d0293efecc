"""Messages sent in the name of gateways: history, load generator.

| module | what it holds |
|---|---|
| `accounts` | The rows of each sender of a simulated park, as counted by the sender |
| `courier` | Sends messages in the name of a gateway, under an epoch and a client id of its own |
| `history` | Rows of past days, as a gateway would have read them every five minutes |
| `history_courier` | Sends the history of all gateways of a park, and keeps their accounts |
| `loadgen` | A load generator: many gateways with many meters |
| `statuses` | Reads the gateways' retained statuses from the broker |
"""
