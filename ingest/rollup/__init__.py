"""The rollup of a park: from raw readings to slots of 15 minutes, per meter and per group.

| module | what it does |
|---|---|
| `spans` | spans of slots (pure) |
| `facts` | what the births say of a park's meters |
| `caps` | how fast each counter can rise, and its course under that cap |
| `notices` | tells of rises above the cap and of exchanged devices |
| `raw` | reads raw readings and late notices |
| `derived` | reads what was published |
| `replacement` | puts new points in the place of old ones, and keeps the old ones |
| `meters` | meters' slots from raw readings |
| `groups` | groups' slots from meters' slots, and who belongs where |
| `job` | decides what is due |
| `service` | runs it, retries and tells how it is |
"""
