"""Quantities and registers that a meter does not give at present, and when each is asked for again. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class MissingRole(StrEnum):
    """What a register is for."""

    COUNTER = "counter"
    IDENTITY = "identity"
    SERIAL = "serial number"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Use:
    """What a register is for, and how people call it: the quantity, or its role."""

    role: MissingRole
    name: str


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that is not given.

    Attributes:
        place: Where it lies in the meter, in short.
        use: What it is for.
        reason: What the meter or the line said.
        since_s: When it was first missing, monotonic.
        retry_at_s: When it is asked for again, at the next poll from then on.
        failures: How often in a row it was not given.
        is_refused: Whether the meter said no, and was not silent.
        is_planned: Whether it is still read with the others.
        place_in_full: Where it lies, for people; empty where there is no more to say than the name.
    """

    place: str
    use: Use
    reason: str
    since_s: float
    retry_at_s: float
    failures: int = 0
    is_refused: bool = True
    is_planned: bool = False
    place_in_full: str = ""

    @property
    def is_counter(self) -> bool:
        """Whether the meter's rows lack a counter."""
        return self.use.role is MissingRole.COUNTER

    @property
    def text(self) -> str:
        """Name, place and reason, for people."""
        where = f" ({self.place_in_full})" if self.place_in_full else ""
        return f"{self.use.name}{where}: {self.reason}"
