"""What flows in a simulated park, as functions of time.

| module | what it holds |
|---|---|
| `course` | A simulated flow over time and its integral, so that a meter's counters agree with its power |
| `flows` | What flows through each meter of a simulated park |
| `shapes` | How electricity, sun and water go over days and years |
"""
