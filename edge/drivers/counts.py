"""What happened while a device was read, as totals. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals of one device since the start.

    Attributes:
        polls: Polls that gave rows.
        timeouts: Requests without an answer.
        garbled_answers: Requests answered with what is no answer.
        exceptions: Requests refused.
        late_answers: Answers that nobody waited for any more.
        skipped: Polls left out because the bus was busy.
    """

    polls: int = 0
    timeouts: int = 0
    garbled_answers: int = 0
    exceptions: int = 0
    late_answers: int = 0
    skipped: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Add."""
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def by_name(self) -> Mapping[str, int]:
        """Return each total under its name."""
        return asdict(self)
