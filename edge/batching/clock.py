"""The UTC time of each poll; keeps polls until the time is known. Pure: observations are arguments.

Contract and invariants:
- Polls carry the monotonic instant of their answer; `Clock` converts it to UTC ms. The offset between the two
  clocks is measured again whenever the system's clock was stepped, so times of rows do not drift apart from
  the system's clock.
- A jump of more than `MAX_CLAMP_MS`, in either direction, is a *step*: it is counted and the last one kept.
- The time is *known* when it is trusted by configuration, when the system has been synchronised once since
  the process started (a quartz loses seconds a week, not minutes), or when an acknowledgement of ingest has
  given it within a second: sent and acknowledged within at most two seconds, ingest's time lies between. The
  system's own synchronisation is preferred once there is one.
- While it is not known, rows wait, each at most `max_wait_s`; then they get the system's time and
  CLOCK_UNSYNCHRONISED. Their acknowledgement may give the time for those that still wait.
- At most `max_rows` wait; the oldest are discarded and counted. A row whose time would be before 2020 cannot
  be stamped and keeps waiting.
"""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from edge.batching.assembler import MAX_CLAMP_MS
from edge.drivers.polled import Polled
from metering.readings import EARLIEST_MS, Reading, ReadingFlag, Row

_STEP_NS = 5_000_000
_MAX_ROUND_TRIP_S = 2.0
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


class TimeSource(StrEnum):
    """Where the time comes from."""

    NONE = "none"
    INGEST = "ingest"
    SYSTEM = "system"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class Observation:
    """Both clocks of the system at one instant, and whether the wall clock is synchronised."""

    monotonic_ns: int
    wall_ns: int
    synchronised: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A jump of the clock.

    Attributes:
        by_s: How far; negative = back.
        at_ms: UTC ms just after it.
    """

    by_s: float
    at_ms: int

    @property
    def at(self) -> str:
        """The same as text."""
        return f"{datetime.fromtimestamp(self.at_ms // 1000, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


class Clock:
    """Converts monotonic instants to UTC."""

    def __init__(self, first: Observation, *, trusted: bool) -> None:
        self._source = TimeSource.TRUSTED if trusted else TimeSource.NONE
        self._offset_ns = first.wall_ns - first.monotonic_ns
        self._steps = 0
        self._maybe_step: Step | None = None
        self.observe(first)

    @property
    def source(self) -> TimeSource:
        """Where the time comes from; NONE = it is not known."""
        return self._source

    @property
    def is_known(self) -> bool:
        """Whether the time is known."""
        return self._source is not TimeSource.NONE

    @property
    def steps(self) -> int:
        """How often the time jumped."""
        return self._steps

    @property
    def maybe_step(self) -> Step | None:
        """The last jump of the time; `None` = there was none."""
        return self._maybe_step

    def observe(self, seen: Observation) -> None:
        """Follow the system's clock; to be called about once a second."""
        if seen.synchronised and self._source is not TimeSource.TRUSTED:
            self._source = TimeSource.SYSTEM
        if self._source is TimeSource.INGEST:
            return
        offset_ns = seen.wall_ns - seen.monotonic_ns
        if abs(offset_ns - self._offset_ns) > _STEP_NS:
            self._follow(offset_ns, seen.monotonic_ns)

    def learn_from_ack(self, *, time_ms: int, round_trip_s: float, received_monotonic_ns: int) -> None:
        """Take the time from an acknowledgement, where there is no better source.

        Args:
            time_ms: Ingest's time when it acknowledged.
            round_trip_s: From the only sending of the message to the acknowledgement.
            received_monotonic_ns: When the acknowledgement was received.
        """
        if self._source in (TimeSource.TRUSTED, TimeSource.SYSTEM) or round_trip_s > _MAX_ROUND_TRIP_S:
            return
        # Ingest took its time at some instant within the round trip: the middle is at most half of it off.
        then_ns = received_monotonic_ns - round(round_trip_s / 2 * _NS_PER_S)
        self._follow(time_ms * _NS_PER_MS - then_ns, received_monotonic_ns)
        self._source = TimeSource.INGEST

    def wall_ms(self, monotonic_ns: int) -> int:
        """Return UTC ms of an instant, as far as it is known."""
        return (monotonic_ns + self._offset_ns) // _NS_PER_MS

    def _follow(self, offset_ns: int, now_monotonic_ns: int) -> None:
        by_ns = offset_ns - self._offset_ns
        self._offset_ns = offset_ns
        if abs(by_ns) > MAX_CLAMP_MS * _NS_PER_MS:
            self._steps += 1
            self._maybe_step = Step(by_ns / _NS_PER_S, self.wall_ms(now_monotonic_ns))


class Stamper:
    """Makes readings of polls; keeps polls while the time is not known."""

    def __init__(self, clock: Clock, *, max_wait_s: float = 900.0, max_rows: int = 20_000) -> None:
        self._clock = clock
        self._max_wait_ns = round(max_wait_s * _NS_PER_S)
        self._max_rows = max_rows
        self._waiting: deque[Polled] = deque()
        self._discarded = 0

    @property
    def waiting(self) -> int:
        """Rows that wait for the time."""
        return len(self._waiting)

    def take(self, polled: Polled) -> None:
        """Add a poll."""
        self._waiting.append(polled)
        if len(self._waiting) > self._max_rows:
            self._waiting.popleft()
            self._discarded += 1

    def release(self, *, now_monotonic_ns: int) -> tuple[Reading, ...]:
        """Return the readings whose time is known or that have waited for `max_wait_s`."""
        return self._release_until(now_monotonic_ns - self._max_wait_ns)

    def flush(self) -> tuple[Reading, ...]:
        """Return all readings now; discard those that cannot be stamped."""
        newest_ns = self._waiting[-1].taken_monotonic_ns if self._waiting else 0
        flushed = self._release_until(newest_ns)
        self._discarded += len(self._waiting)
        self._waiting.clear()
        return flushed

    def collect_discarded(self) -> int:
        """Return the number of rows discarded since the last call."""
        discarded, self._discarded = self._discarded, 0
        return discarded

    def _release_until(self, instant_ns: int) -> tuple[Reading, ...]:
        released = []
        while self._waiting:
            first = self._waiting[0]
            is_ready = self._clock.is_known or first.taken_monotonic_ns <= instant_ns
            taken_at_ms = self._clock.wall_ms(first.taken_monotonic_ns)
            if not is_ready or taken_at_ms < EARLIEST_MS:
                break
            released.append(self._stamp(self._waiting.popleft(), taken_at_ms))
        return tuple(released)

    def _stamp(self, polled: Polled, taken_at_ms: int) -> Reading:
        flag = 0 if self._clock.is_known else int(ReadingFlag.CLOCK_UNSYNCHRONISED)
        row = Row(polled.meter, taken_at_ms, polled.quality | flag, polled.values)
        return Reading(polled.medium, polled.quantities, row)
