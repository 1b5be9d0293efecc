"""What a measurement gives. Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BOUND = re.compile(r"(?P<way>[<>])= (?P<bound>[\d,.]+)")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: What was measured, in at most 36 characters: a line of the table.
        value: In `unit`.
        unit: Unit, with what it refers to (`values/s`, `% of one core`).
        target: What DESIGN 8 asks for; empty where it asks for nothing.
        how: One sentence on how it was measured, for docs/performance.md.
    """

    name: str
    value: float
    unit: str
    how: str
    target: str = ""

    @property
    def measured(self) -> str:
        """Value and unit as text, three significant digits."""
        return f"{_number(self.value)} {self.unit}"

    @property
    def maybe_met(self) -> bool | None:
        """Whether the target is met; `None` where it names no bound."""
        found = _BOUND.search(self.target)
        if found is None:
            return None
        bound = float(found["bound"].replace(",", ""))
        return self.value <= bound if found["way"] == "<" else self.value >= bound


@dataclass(frozen=True, slots=True)
class Bench:
    """A measurement that can be selected by its name.

    Attributes:
        name: For the command line.
        about: What it does, in a few words.
        measure: Does it, in an empty folder of its own; yields figures as it gets them.
    """

    name: str
    about: str
    measure: Callable[[Path], Iterator[Figure]]


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A figure that DESIGN 8 asks for and that cannot be measured yet, and why."""

    name: str
    target: str
    why: str


_WHOLE_FROM = 100


def _number(value: float) -> str:
    if abs(value) >= _WHOLE_FROM:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of them do not exceed.

    Raises:
        ValueError: for no values at all.
    """
    if not values:
        raise ValueError("a percentile of nothing")
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]
