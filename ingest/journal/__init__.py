"""Every data message and birth as received, and the quarantine of what was not stored.

| module | what it holds |
|---|---|
| `append_file` | A file that only grows, and whose every byte below `size_bytes` is on the disk |
| `journal` | The journal: every data message and birth as received, from which everything can be rebuilt |
| `quarantine` | The quarantine |
| `reader` | Where a journal's records lie, and reading them: also while another process appends |
| `segments` | Bytes of a journal segment |
"""
