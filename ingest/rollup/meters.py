"""Meters' slots from raw readings.

`roll` computes spans of slots anew and puts them in the place of what was published. A slot is published
once a read bounds each of its counters, or its grace is over; it waits otherwise, and so do all later ones.
What is computed is a function of the raw readings alone, so a span may be computed again at any time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ingest.counters import LOOK_BACK_MS, Course
from ingest.intervals import SlotValue, floor_slot, slot_values, tolerance_ms
from ingest.line import Field
from ingest.rollup.caps import Caps, CounterReads
from ingest.rollup.derived import DerivedDatabase
from ingest.rollup.facts import UNKNOWN, Counting
from ingest.rollup.notices import Notice, exchanges, rises
from ingest.rollup.raw import Catalogue, Edge, RawDatabase, Reads
from ingest.rollup.replacement import Counts, Replacement
from ingest.rollup.spans import Span, maybe_span, merged
from ingest.store import Store
from metering.park import Park
from metering.quantities import Medium
from metering.series import LATE_AFTER_MS, METER_15M, SLOT_MS, coverage_field, quality_field

#: Rows that a query may be expected to give; bounds memory.
_MOST_ROWS = 200_000
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Work:
    """Slots of a meter to compute.

    Attributes:
        idle_start_ms: Where to begin instead when nothing was read since the last time.
    """

    meter: str
    medium: Medium
    span: Span
    idle_start_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a meter's slots go.

    Attributes:
        next_ms: Start of the first slot that is not published.
        resume_ms: Slots from here on may still change by what is read next.
        latest_ms: Time of the newest read taken into account; `None` = not known.
    """

    next_ms: int
    resume_ms: int
    latest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Rolled:
    """A meter's slots of a span."""

    span: Span
    points: Mapping[int, Mapping[str, Field]]
    progress: Progress


class MeterStage:
    """Computes and publishes the slots of a park's meters."""

    def __init__(self, store: Store, park: Park, *, go_on: Callable[[], None]) -> None:
        """Begin.

        Args:
            store: Where both databases are.
            park: Whose meters.
            go_on: Called before each batch; may raise to end the work there.
        """
        self._store = store
        self._go_on = go_on
        self._park = park.id
        self._raw = RawDatabase(store, park)
        self._caps = Caps(self._raw, park)
        self._quantities = park.quantities
        self._derived = DerivedDatabase(store, park.id)
        self.facts: Mapping[str, Counting] = {}
        self.catalogue = Catalogue({}, {})
        self.progress: dict[str, Progress] = {}
        #: What was computed since this was emptied: groups are owed for it, even if the rest broke off.
        self.rolled: list[Span] = []
        #: What is to be told of what was computed since this was emptied.
        self.notices: list[Notice] = []

    def change_park(self, park: Park) -> None:
        """Read and bound by another edition of the park."""
        self._raw = RawDatabase(self._store, park)
        self._caps = Caps(self._raw, park)
        self._quantities = park.quantities

    def recall(self) -> None:
        """Learn from the store how far the slots go."""
        for meter, one in self._derived.published().items():
            whole_ms = max(one.whole_ms or 0, (one.partly_ms or 0) - _DAY_MS)
            back_ms = self._counting(meter).return_ms
            resume_ms = floor_slot(max(SLOT_MS, whole_ms - back_ms)) - SLOT_MS
            self.progress[meter] = Progress(one.last_ms + SLOT_MS, resume_ms)

    def ready_ms(self) -> int:
        """Give the boundary up to which all meters are published, those left out whose readings are gone."""
        return min(
            (self.progress[one].next_ms for one in self.progress.keys() & self.catalogue.meters), default=0
        )

    def roll(self, works: Sequence[Work], *, reason: str, now_ms: int) -> Counts:
        """Compute and publish; gives what changed, and notes in `rolled` what was computed."""
        counts = Counts()
        for batch in self._batches(works):
            self._go_on()
            rolled = self._roll_batch(batch, now_ms)
            self.rolled = merged([*self.rolled, *(one.span for _, one in rolled)])
            counts += self._publish(rolled, reason, now_ms)
        return counts

    def _batches(self, works: Sequence[Work]) -> Iterator[list[Work]]:
        """Yield works of one medium and about the same time; long works in pieces, ascending."""
        batch: list[Work] = []
        start_ms, rows = 0, 0
        pieces = [piece for work in works for piece in self._pieces(work)]
        for work in sorted(pieces, key=lambda one: (one.span.start_ms // _DAY_MS, one.medium)):
            more = self._rows(work)
            is_near = work.span.start_ms - start_ms < _DAY_MS
            if batch and (work.medium is not batch[0].medium or not is_near or rows + more > _MOST_ROWS):
                yield batch
                batch, rows = [], 0
            if not batch:
                start_ms = work.span.start_ms
            batch.append(work)
            rows += more
        if batch:
            yield batch

    def _rows(self, work: Work) -> int:
        span_ms = work.span.stop_ms - work.span.start_ms + LOOK_BACK_MS
        return span_ms // self._counting(work.meter).poll_ms

    def _pieces(self, work: Work) -> Iterator[Work]:
        most = max(1, _MOST_ROWS * self._counting(work.meter).poll_ms // SLOT_MS)
        for span in work.span.chunks(most):
            yield replace(work, span=span)

    def _counting(self, meter: str) -> Counting:
        return self.facts.get(meter, UNKNOWN)

    def _roll_batch(self, batch: Sequence[Work], now_ms: int) -> list[tuple[Work, _Rolled]]:
        medium = batch[0].medium
        quantities = self.catalogue.counters[medium]
        ahead_ms = max(self._counting(work.meter).return_ms for work in batch)
        stop_ms = max(work.span.stop_ms for work in batch) + ahead_ms
        reads = self._raw.reads(
            medium,
            quantities,
            sorted({work.meter for work in batch}),
            start_ms=min(work.span.start_ms for work in batch) - LOOK_BACK_MS,
            stop_ms=stop_ms,
        )
        edges = [edge for work in batch for edge in self._edges(work, reads, stop_ms, now_ms)]
        self._raw.add_edges(reads, medium, edges)
        found = ((work, self._compute(work, reads.get(work.meter, {}), now_ms)) for work in batch)
        return [(work, maybe_rolled) for work, maybe_rolled in found if maybe_rolled is not None]

    def _edges(self, work: Work, reads: Reads, stop_ms: int, now_ms: int) -> Iterator[Edge]:
        """Yield where to look for reads beyond the window: a slot's bounds may be far away."""
        span = work.span
        # A read before this one does not bear on a verdict within the span.
        enough_ms = span.start_ms - self._counting(work.meter).return_ms
        found = reads.get(work.meter, {})
        maybe_counting = self.facts.get(work.meter)
        expected = self.catalogue.counters[work.medium] if maybe_counting is None else maybe_counting.counters
        for quantity in sorted({*expected, *(name for name, some in found.items() if some)}):
            times_ms = [read[0] for read in found.get(quantity, ())]
            if not times_ms or min(times_ms) > enough_ms:
                yield Edge(work.meter, quantity, span.start_ms - LOOK_BACK_MS, is_before=True)
            if stop_ms < now_ms and (not times_ms or max(times_ms) < span.stop_ms):
                yield Edge(work.meter, quantity, stop_ms - 1, is_before=False)

    def _compute(self, work: Work, reads: Mapping[str, list[tuple[int, int]]], now_ms: int) -> _Rolled | None:
        counting = self._counting(work.meter)
        courses = {
            name: self._caps.course(CounterReads(work.meter, work.medium, name, work.span, found), counting)
            for name, found in reads.items()
            if found
        }
        if not courses:
            return None
        latest_ms = max(course.times_ms[-1] for course in courses.values())
        maybe_computed = self._due_span(work, courses, latest_ms, now_ms)
        if maybe_computed is None:
            return None
        span = maybe_computed
        for name, course in courses.items():
            self.notices += rises(work.meter, self._quantities[name], course, span)
        self.notices += exchanges(work.meter, counting.joints, span)
        values = {
            name: slot_values(
                course,
                start_ms=span.start_ms,
                stop_ms=span.stop_ms,
                tolerance_ms=tolerance_ms(counting.poll_ms),
            )
            for name, course in sorted(courses.items())
        }
        points = {
            slot_ms: _fields({name: found[i] for name, found in values.items()})
            for i, slot_ms in enumerate(span.slots)
        }
        resume_ms = _resume_ms(list(courses.values()), latest_ms, counting.return_ms, now_ms)
        return _Rolled(span, points, Progress(span.stop_ms, resume_ms, latest_ms))

    def _due_span(
        self, work: Work, courses: Mapping[str, Course], latest_ms: int, now_ms: int
    ) -> Span | None:
        """Give the slots that have begun to be counted and are not waiting for a read."""
        maybe_progress = self.progress.get(work.meter)
        start_ms, stop_ms = work.span.start_ms, work.span.stop_ms
        is_silent = latest_ms < floor_slot(now_ms) - 2 * SLOT_MS
        is_idle = is_silent and maybe_progress is not None and latest_ms == maybe_progress.latest_ms
        if is_idle and work.idle_start_ms is not None:
            start_ms = work.idle_start_ms
        begun_ms = min(course.times_ms[0] for course in courses.values())
        start_ms = max(start_ms, floor_slot(begun_ms + SLOT_MS - 1))
        bounded_ms = floor_slot(min(course.times_ms[-1] for course in courses.values()))
        patient_ms = floor_slot(now_ms - self._counting(work.meter).grace_ms)
        return maybe_span(start_ms, min(stop_ms, max(bounded_ms, patient_ms)))

    def _publish(self, rolled: Sequence[tuple[Work, _Rolled]], reason: str, now_ms: int) -> Counts:
        if not rolled:
            return Counts()
        spans = [one.span for _, one in rolled]
        window = Span(min(span.start_ms for span in spans), max(span.stop_ms for span in spans))
        meters = sorted({work.meter for work, _ in rolled})
        before = self._derived.points(METER_15M, window, keys=("meter",), meters=meters)
        changes = Replacement(METER_15M, self._park)
        for work, one in rolled:
            tags = (("meter", work.meter),)
            old = before.get(tags, {})
            changes.add(tags, {t: old[t] for t in one.span.slots if t in old}, one.points)
        counts = changes.make(self._store, reason=reason, now_ms=now_ms)
        for work, one in rolled:
            self._advance(work.meter, one.progress)
        return counts

    def _advance(self, meter: str, reached: Progress) -> None:
        """Take note of new progress; work on earlier slots is none."""
        maybe_before = self.progress.get(meter)
        if maybe_before is None or reached.next_ms >= maybe_before.next_ms:
            self.progress[meter] = reached


def _fields(values: Mapping[str, SlotValue]) -> dict[str, Field]:
    """Give the fields of a slot's point."""
    fields: dict[str, Field] = {}
    for name, one in values.items():
        if one.value is not None:
            fields[name] = float(one.value)
        fields[quality_field(name)] = int(one.quality)
        fields[coverage_field(name)] = float(one.is_good)
    return fields


def _resume_ms(courses: Sequence[Course], latest_ms: int, return_ms: int, now_ms: int) -> int:
    """Give the start of the first slot that a later read may change without a notice of being late.

    A read is judged for good once there are reads from beyond the return time after it; rows from before the
    last whole slot do not come any more without a notice. A counter that has not been read for a day while
    others of its meter were does not hold the others back.
    """
    resume_ms = latest_ms
    noticed_ms = floor_slot(now_ms - LATE_AFTER_MS)
    for course in courses:
        settled_ms = min(course.times_ms[-1] - return_ms, noticed_ms - 1)
        final = [time_ms for time_ms in course.times_ms if time_ms <= settled_ms]
        resume_ms = min(resume_ms, final[-1] if final else course.times_ms[0])
    return floor_slot(max(resume_ms, latest_ms - _DAY_MS) if len(courses) > 1 else resume_ms)
