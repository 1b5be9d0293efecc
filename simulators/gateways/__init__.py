"""Messages in the name of gateways: history, load generator.

| module | what it holds |
|---|---|
| `accounts` | The rows of each sender of a simulated park, as the sender counts them |
| `courier` | Sends messages in the name of a gateway, under an epoch and a client id of its own |
| `history` | History in fast motion |
| `history_courier` | Sends the history of all gateways of a park, and keeps their accounts |
| `loadgen` | A load generator |
| `statuses` | The gateways' last words: their retained statuses, asked of the broker |
"""
