"""The clocks of this machine, and whether the wall clock is synchronised."""

import time
from pathlib import Path

from edge.batching.clock import Observation
from metering.program.kernel_clock import KernelClock

_TIMESYNCD_MARK = Path("/run/systemd/timesync/synchronized")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The clocks of this machine."""

    def __init__(self) -> None:
        self._kernel = KernelClock()

    def observe(self) -> Observation:
        """Read both clocks now."""
        return Observation(time.monotonic_ns(), time.time_ns(), self._is_synchronised())

    def boot_id(self) -> str:
        """Return the id of this boot; monotonic instants of different boots cannot be compared."""
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            return "unknown"

    def _is_synchronised(self) -> bool:
        return _TIMESYNCD_MARK.exists() or self._kernel.is_synchronised()
