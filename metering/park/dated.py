"""Dated relations: what held when.

A `Dated` is a sequence of half-open spans that do not overlap. Outside its spans there is no value, and none
is assumed: past `valid_to` it is `None`, never the last one. Instants are UTC milliseconds;
days in a file are days of the park's time zone.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

#: Before and after the time of every reading.
BEGINNING_MS = -(2**62)
END_MS = 2**62

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span(Generic[T]):
    """A value from `from_ms` (included) to `to_ms` (excluded).

    Raises:
        ValueError: when it ends before it begins.
    """

    value: T
    from_ms: int = BEGINNING_MS
    to_ms: int = END_MS

    def __post_init__(self) -> None:
        if not self.from_ms < self.to_ms:
            raise ValueError(f"{self.value!r} ends before it begins")


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """Spans in the order of time.

    Raises:
        ValueError: when two overlap.
    """

    spans: tuple[Span[T], ...] = ()

    def __post_init__(self) -> None:
        for earlier, later in zip(self.spans, self.spans[1:], strict=False):
            if later.from_ms < earlier.to_ms:
                raise ValueError(f"{earlier.value!r} and {later.value!r} overlap")

    def maybe_at(self, instant_ms: int) -> T | None:
        """Return the value that holds at an instant, or `None`."""
        index = bisect_right(self.spans, instant_ms, key=lambda span: span.from_ms) - 1
        if index < 0 or instant_ms >= self.spans[index].to_ms:
            return None
        return self.spans[index].value

    def changes_ms(self) -> Iterator[int]:
        """Yield the instants at which a value begins or ends."""
        for span in self.spans:
            if span.from_ms != BEGINNING_MS:
                yield span.from_ms
            if span.to_ms != END_MS:
                yield span.to_ms

    @property
    def values(self) -> tuple[T, ...]:
        """The values of all spans."""
        return tuple(span.value for span in self.spans)


def always(value: T) -> Dated[T]:
    """Return a relation that holds for all time."""
    return Dated((Span(value),))


def in_order(spans: Iterable[Span[T]]) -> Dated[T]:
    """Return the relation of spans in any order.

    Raises:
        ValueError: when two overlap.
    """
    return Dated(tuple(sorted(spans, key=lambda span: span.from_ms)))


def to_ms(instant: date | datetime, zone: ZoneInfo) -> int:
    """Return UTC milliseconds of an instant; a date is its local midnight, a naive time is local."""
    if not isinstance(instant, datetime):
        instant = datetime.combine(instant, time(), tzinfo=zone)
    elif instant.tzinfo is None:
        instant = instant.replace(tzinfo=zone)
    return round(instant.timestamp() * 1000)
