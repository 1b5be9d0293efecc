"""What a poll gives: values with the monotonic instant of the answer, before the time of day is known."""

from dataclasses import dataclass

from metering.quantities import Medium
from metering.readings import Value


@dataclass(frozen=True, slots=True)
class Polled:
    """One poll of one meter.

    Attributes:
        meter: Meter id, unique in the park.
        medium: What flows through the meter.
        quantities: Names of the columns, in the vocabulary of `metering.quantities`.
        values: One per quantity, in its unit; `None` = not read or not believed.
        quality: `metering.readings.ReadingFlag` bits.
        taken_monotonic_ns: `time.monotonic_ns()` when the answer that carries the counters arrived.

    Raises:
        ValueError: when the values do not match the quantities one to one.
    """

    meter: str
    medium: Medium
    quantities: tuple[str, ...]
    values: tuple[Value, ...]
    quality: int
    taken_monotonic_ns: int

    def __post_init__(self) -> None:
        if len(self.values) != len(self.quantities):
            raise ValueError(
                f"poll of {self.meter} has {len(self.values)} values for {len(self.quantities)} quantities"
            )
