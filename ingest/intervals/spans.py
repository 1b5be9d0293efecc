"""Spans of time between boundaries of slots. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from metering.series import SLOT_MS


@dataclass(frozen=True, slots=True, order=True)
class SlotSpan:
    """From a boundary (included) to another (excluded), UTC milliseconds.

    Raises:
        ValueError: when it is empty or its ends are not boundaries.
    """

    start_ms: int
    stop_ms: int

    def __post_init__(self) -> None:
        if not self.start_ms < self.stop_ms or self.start_ms % SLOT_MS or self.stop_ms % SLOT_MS:
            raise ValueError(f"[{self.start_ms}, {self.stop_ms}) is not a span of slots")

    @property
    def slots(self) -> range:
        """Starts of its slots."""
        return range(self.start_ms, self.stop_ms, SLOT_MS)

    def chunks(self, max_slots: int) -> Iterator["SlotSpan"]:
        """Yield pieces of at most so many slots, in the order of time."""
        for start_ms in range(self.start_ms, self.stop_ms, max_slots * SLOT_MS):
            yield SlotSpan(start_ms, min(start_ms + max_slots * SLOT_MS, self.stop_ms))


def maybe_span(start_ms: int, stop_ms: int) -> SlotSpan | None:
    """Return the span, or `None` where it would be empty."""
    return SlotSpan(start_ms, stop_ms) if start_ms < stop_ms else None


def merged(spans: Iterable[SlotSpan]) -> list[SlotSpan]:
    """Return the same time in as few spans as possible, ascending."""
    found: list[SlotSpan] = []
    for span in sorted(spans):
        if found and span.start_ms <= found[-1].stop_ms:
            found[-1] = SlotSpan(found[-1].start_ms, max(found[-1].stop_ms, span.stop_ms))
        else:
            found.append(span)
    return found


def runs(slots_ms: Iterable[int]) -> list[SlotSpan]:
    """Return the spans that cover just these slots."""
    return merged(SlotSpan(slot_ms, slot_ms + SLOT_MS) for slot_ms in slots_ms)
