"""What is accepted: messages, rows, and who may deliver a meter.

| module | what it holds |
|---|---|
| `messages` | What becomes of a message: what to write, what to set aside, what to acknowledge |
| `registry` | Who may deliver a meter's rows, and what the gateways say their meters are |
| `rows` | Judgement of rows, one by one |
"""
