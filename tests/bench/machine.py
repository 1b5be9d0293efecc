"""The machine that a bench ran on, so that figures can be compared."""

import os
import platform
from pathlib import Path

_KIB = 1024


def describe() -> tuple[tuple[str, str], ...]:
    """Return name and text of what matters about this machine."""
    return (
        ("Processor", _field(Path("/proc/cpuinfo"), "model name") or platform.machine()),
        ("Cores", str(os.cpu_count())),
        ("Memory", f"{int(_field(Path('/proc/meminfo'), 'MemTotal').split()[0]) // _KIB:,} MiB"),
        ("Kernel", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("Load before", f"{os.getloadavg()[0]:.2f} (one minute; other work on the machine disturbs)"),
    )


def _field(path: Path, name: str) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
