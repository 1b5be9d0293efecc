"""Faults of a simulated meter or line, on request. Pure; time is an argument.

A target is a meter's id, or a line as `<gateway>/<bus>`. A fault lasts until its end; a counter reset happens
at once and is not kept here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong."""

    SILENCE = "silence"
    LATE = "late"
    WRONG_CRC = "wrong-crc"
    EXCEPTION = "exception"
    RESET = "reset"
    CUT = "cut"


#: What `value` means, and its default.
DEFAULT_VALUES = {FaultKind.LATE: 2.0, FaultKind.EXCEPTION: 4.0}
#: Faults of a whole line.
LINE_FAULTS = (FaultKind.CUT,)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in force.

    Attributes:
        target: Meter id or `<gateway>/<bus>`.
        until_s: When it ends, on the monotonic clock.
        value: Seconds of delay for `late`, the code for `exception`; else without meaning.
    """

    target: str
    kind: FaultKind
    until_s: float
    value: float = 0.0


class Faults:
    """The faults in force."""

    def __init__(self, *, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._faults: list[Fault] = []

    def order(self, target: str, kind: FaultKind, *, for_s: float, value: float | None = None) -> Fault:
        """Begin a fault now; return it with its end."""
        meant = DEFAULT_VALUES.get(kind, 0.0) if value is None else value
        fault = Fault(target, kind, self._monotonic_s() + for_s, meant)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """End all faults."""
        self._faults.clear()

    def maybe(self, kind: FaultKind, *targets: str) -> Fault | None:
        """Return a fault of a kind that one of the targets has now."""
        now_s = self._monotonic_s()
        self._faults = [fault for fault in self._faults if fault.until_s > now_s]
        found = (fault for fault in self._faults if fault.kind is kind and fault.target in targets)
        return next(found, None)
