"""What every program of ours needs: configuration files, command line, local pages, logs, broker connection.

| module | what it holds |
|---|---|
| `addresses` | Hosts and ports as people write them |
| `backoff` | How long to wait after failures in a row: the back-off of all programs |
| `command_line` | What the command lines of all programs share |
| `config` | Configuration files: YAML in, frozen pydantic models out, every problem at once with its place |
| `connection` | How a program reaches the broker and where it listens |
| `form` | The form of a configuration file: models, and what is known of one with mistakes |
| `kernel_clock` | Whether NTP keeps the wall clock, as the kernel reports it by adjtimex(2) |
| `local_http` | The local HTTP API of a program |
| `logs` | Logging of the programs |
| `mistakes` | What is wrong with a value, in our own texts |
| `near` | The nearest known words |
| `stop_signals` | SIGTERM and SIGINT from a program's first line on |
| `yaml_file` | YAML by the rules of 1.2: plain data, and the place of each part of it |
"""
