"""Settings, clocks and state of an outbox: frozen types."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSettings:
    """How an outbox keeps its messages.

    Attributes:
        path: The SQLite file; its folder is made when missing.
        always: Whether `append` waits for the disk.
        max_bytes: Bound of the disk part.
        max_age_s: Age on disk at which messages are dropped.
        spill_after_s: Age in memory at which messages go to the disk.
        memory_bytes: Bound of the memory part.
    """

    path: Path
    always: bool = False
    max_bytes: int = 500_000_000
    max_age_s: float = 30 * 86_400.0
    spill_after_s: float = 10.0
    memory_bytes: int = 8_000_000


@dataclass(frozen=True, slots=True)
class OutboxClock:
    """The two clocks an outbox needs.

    Attributes:
        monotonic_s: For ages in memory and pauses.
        wall_ms: UTC ms for ages on disk; 0 while the time is not known.
    """

    monotonic_s: Callable[[], float]
    wall_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class OutboxState:
    """A snapshot for status and metrics.

    Attributes:
        memory_bytes: Bodies in memory.
        memory_messages: Messages in memory.
        disk_bytes: Bodies on the disk.
        disk_is_usable: Whether the last operation on the disk worked.
        disk_problem: Why it refused, with the path; empty while it is usable.
        disk_failures: How often the disk refused.
        oldest_held_s: Age of the oldest message held, on the disk since it was written there; 0 = none is
            held. Rows in flight are held for less than a second; a larger age means that rows wait.
    """

    memory_bytes: int
    memory_messages: int
    disk_bytes: int
    disk_is_usable: bool
    disk_problem: str
    disk_failures: int
    oldest_held_s: float
