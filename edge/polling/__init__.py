"""Who is polled, when, and how each bus and each meter is.

| module | what it holds |
|---|---|
| `backoff` | How long to leave alone what does not answer |
| `buses` | All buses of a gateway, each with its poller |
| `health` | How buses and meters are: counters and states, for the local pages and the status message |
| `missing_log` | Log lines about missing registers |
| `poller` | One worker per bus: opens the line, polls the devices in turn, hands their rows on |
| `schedule` | Who is polled next on a bus, and when |
| `silence` | Who on a line is silent, what that says of the line, and when a silent device is asked again |
"""
