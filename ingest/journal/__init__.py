"""Every data message and birth as received, and the quarantine of what was not stored.

| module | what it holds |
|---|---|
| `append_file` | A file that only grows, and whose every byte below `size_bytes` is on the disk |
| `journal` | The journal: every data message and birth as received, from which everything can be rebuilt |
| `journal_and_quarantine` | Journal and quarantine of a process behind one lock |
| `quarantine` | The files of the quarantine: what was set aside instead of stored |
| `quarantine_entry` | Entries of the quarantine: their lines, and which are still unresolved |
| `reader` | Reads a journal's records, also while another process appends |
| `segments` | Bytes of a journal segment |
"""
