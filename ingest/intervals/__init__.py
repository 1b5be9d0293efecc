"""From counters to intervals and zone use. All pure.

| module | what it holds |
|---|---|
| `counters` | From what a counter showed to what it counted |
| `joints` | The series of a counter whose device was exchanged |
| `lone` | Reads that stand alone |
| `rises` | How much a counter can rise between two reads |
| `slots` | From what a counter counted to slots of 15 minutes |
| `spans` | Spans of time between boundaries of slots |
| `zone_use` | Zone use: what a park, zone, building or tenant used, from its meters' slots |
"""
