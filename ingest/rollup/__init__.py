"""The rollup of a park: from raw readings to slots of 15 minutes, per meter and per group.

| module | what it holds |
|---|---|
| `caps` | How fast each counter of a park can rise, and its series under that cap |
| `groups` | Groups' slots from meters' slots, and who belongs where |
| `job` | What is due in a park's rollup, and in which order |
| `late` | Keeps track of late rows: which notices were dealt with, and which wait for more of their kind |
| `live` | `group_live`: what each group draws at this moment |
| `meters` | Meters' slots from raw readings |
| `notices` | Notices about a meter's counters: implausible rises, and exchanged devices |
| `park_edition` | Editions of a park description: from when on do two of them give other groups? Pure |
| `service` | Runs a park's rollup |
| `series/` | The series of a park as the rollup reads, writes and replaces them |
"""
