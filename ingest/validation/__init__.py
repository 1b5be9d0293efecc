"""What is accepted: messages, rows, and who may deliver a meter.

| module | what it holds |
|---|---|
| `announcements` | What gateways state about their meters, and the points of `meters` |
| `messages` | Validates messages: what to write, what to set aside, what to acknowledge |
| `owners` | Which gateway owns a meter, and when |
| `registry` | Which gateway may deliver a meter's rows, and what changes with each birth |
| `rows` | Validation of rows, one by one |
| `stored_registry` | Reads from the raw database what a registry begins with |
"""
