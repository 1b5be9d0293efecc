"""What a person should know: events and the states of gateways.

| module | what it holds |
|---|---|
| `book` | Events: what a person should know, raised, repeated while it lasts, and cleared |
| `reports` | Points about the plant, not of it: events and gateway states, into the park's rollup database |
"""
