"""What a new installation needs: secrets, and the broker's password and ACL files.

| module | what it holds |
|---|---|
| `broker_files` | Mosquitto's password and ACL files for the parks of a folder |
| `secret_files` | Files that hold one secret each: made once, never overwritten, whole or not there at all |
"""
