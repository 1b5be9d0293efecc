"""Lines of simulated meters on real wires: pty and TCP.

| module | what it holds |
|---|---|
| `answer_log` | The log of every answer that a simulated line gave |
| `line` | A line of simulated devices |
| `rtu_line` | A half-duplex RS-485 line in time |
| `serial_line` | A simulated RS-485 line on a pty |
| `tcp_line` | A simulated line on TCP |
"""
