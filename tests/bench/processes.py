"""What a process has used so far, from /proc; and which core it may use."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_KIB = 1024
_BATCHES = 5


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since it started.

    Attributes:
        cpu_s: Seconds of processor, all threads, user and system.
        rss_mb: Memory now, in 10^6 bytes.
        peak_mb: The most memory it had at once, in 10^6 bytes.
        written_bytes: What it made the kernel send to a disk (proc(5), io: write_bytes).
    """

    cpu_s: float
    rss_mb: float
    peak_mb: float
    written_bytes: int


def usage(pid: int) -> Usage:
    """Read what a process has used.

    Raises:
        OSError: when it runs no more.
    """
    folder = Path(f"/proc/{pid}")
    # The name in parentheses may hold anything; utime and stime are fields 14 and 15 (proc(5)).
    fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    status = _fields(folder / "status")
    return Usage(
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
        rss_mb=_megabytes(status["VmRSS"]),
        peak_mb=_megabytes(status["VmHWM"]),
        written_bytes=int(_fields(folder / "io")["write_bytes"]),
    )


def _fields(path: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
    return {key: value.strip() for key, _, value in lines}


def _megabytes(kibibytes: str) -> float:
    return int(kibibytes.split(maxsplit=1)[0]) * _KIB / 1e6


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Let processes that are started in the block have one core, all their threads together."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(action: Callable[[], object]) -> float:
    """Return the processor seconds of an action in this process: the best of five."""
    taken = []
    for _ in range(_BATCHES):
        started_s = time.process_time()
        action()
        taken.append(time.process_time() - started_s)
    return min(taken)
