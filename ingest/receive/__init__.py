"""From the broker into a bounded queue, and acknowledgements back.

| module | what it holds |
|---|---|
| `accounts` | Row accounting: received = written + quarantined + pending, per gateway, always |
| `acks` | Acknowledgements: what is safe, gathered per gateway and sent together |
| `deliveries` | Which messages are on their way and which were acknowledged lately |
| `intake` | The bounded queue between the broker and the pipeline of a park |
| `shares` | How much of a park's queue each gateway may fill: its own delivery window, no more |
| `statuses` | Statuses of the gateways: reads them, and counts those that cannot be read |
| `subscriber` | MQTT 5 for ingest: the only module of ingest that knows paho |
| `supervision` | The one place of ingest where any exception is caught: handling received bytes |
"""
