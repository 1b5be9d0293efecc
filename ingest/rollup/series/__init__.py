"""The series of a park as the rollup reads, writes and replaces them.

| module | what it holds |
|---|---|
| `derived` | Reads what was published: slots of meters and groups |
| `facts` | How a park's meters count, by what their gateways announced |
| `members` | Which meters belong where: the points of `member`, from which dashboards list a zone's meters |
| `progress` | How far the rollup of a park is |
| `raw` | Reads a park's raw database: which meters there are, their counters' reads, and what came late |
| `replacement` | New points in the place of old ones |
"""
