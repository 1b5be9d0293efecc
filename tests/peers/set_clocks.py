"""The clocks of a machine whose wall clock a test sets, as a person or a wrong time server would."""

import time
from dataclasses import dataclass

from ingest.clock.rules import Seen


@dataclass
class SetClocks:
    """The real monotonic clock, and a wall clock that is `ahead_ms` of the real one.

    Attributes:
        ahead_ms: Negative: set back.
        is_synchronised: What the kernel says.
    """

    ahead_ms: int = 0
    is_synchronised: bool = False

    def wall_ms(self) -> int:
        """Return UTC milliseconds since 1970, as the machine believes."""
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def see(self) -> Seen:
        """Return all that is known of the clocks now."""
        return Seen(time.monotonic_ns() // 1_000_000, self.wall_ms(), self.is_synchronised)
