"""Meters' slots from raw readings.

`roll` computes spans of slots anew and puts them in the place of what was published. A slot is published
once a read bounds each of its counters, or its grace is over; it waits otherwise, and so do all later ones.
What is computed is a function of the raw readings alone, so a span may be computed again at any time. A
counter has fields from the slot on that begins at or after its first read.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ingest.intervals.counters import LOOK_BACK_MS, CounterSeries
from ingest.intervals.lone import ALONE_MS, lone_times
from ingest.intervals.slots import SlotValue, ceil_slot, floor_slot, slot_values, tolerance_ms
from ingest.intervals.spans import SlotSpan, maybe_span, merged
from ingest.rollup.caps import Caps, CounterReads
from ingest.rollup.notices import Notice, exchanges, rises
from ingest.rollup.series.derived import DerivedDatabase
from ingest.rollup.series.facts import UNKNOWN, Counting
from ingest.rollup.series.progress import Asleep, Progress, ProgressBook
from ingest.rollup.series.raw import Edge, RawDatabase, Reads, StoredMeters
from ingest.rollup.series.replacement import Counts, Replacement
from ingest.store.contract import Store
from ingest.store.line_protocol import Field
from metering.park.model import Park
from metering.quantities import Medium
from metering.series import LATE_AFTER_MS, METER_15M, SLOT_MS, coverage_field, quality_field

_LOGGER = logging.getLogger(__name__)

#: Rows that a query may be expected to give; bounds memory.
_MAX_ROWS = 200_000
#: Reads taken from beyond a window where it has none itself: those within the look-back, and these.
_EDGE_READS = 20
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Work:
    """Slots of a meter to compute.

    Attributes:
        idle_start_ms: Where to begin instead when nothing was read since the last time.
        is_late: Whether all of it was published before, and is to be computed again.
    """

    meter: str
    medium: Medium
    span: SlotSpan
    idle_start_ms: int | None = None
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class _Rolled:
    """A meter's slots of a span."""

    span: SlotSpan
    points: Mapping[int, Mapping[str, Field]]
    progress: Progress


class MeterStage:
    """Computes and publishes the slots of a park's meters."""

    def __init__(
        self, store: Store, park: Park, *, owe: Callable[[], None], check_stop: Callable[[], None]
    ) -> None:
        """Begin.

        Args:
            store: Where both databases are.
            park: Whose meters.
            owe: Called before what is in `rolled` is changed.
            check_stop: Called before each batch; may raise to end the work there.
        """
        self._store = store
        self._check_stop = check_stop
        self._park = park.id
        self._raw = RawDatabase(store, park)
        self._caps = Caps(self._raw, park)
        self._quantities = park.quantities
        self._derived = DerivedDatabase(store, park.id)
        self._book = ProgressBook(store, park.id)
        self._owe = owe
        self._woken: list[Work] = []
        self._logged_lone: set[tuple[str, str, int]] = set()
        self.facts: Mapping[str, Counting] = {}
        self.catalogue = StoredMeters({}, {})
        self.progress: dict[str, Progress] = {}
        #: Counters of each meter that were ever read.
        self.known: dict[str, set[str]] = defaultdict(set)
        #: What was computed since this was emptied: groups are owed for it, even if the rest broke off.
        self.rolled: list[SlotSpan] = []
        #: Notices about what was computed since this was emptied.
        self.notices: list[Notice] = []

    def change_park(self, park: Park) -> None:
        """Read and bound by another edition of the park."""
        self._raw = RawDatabase(self._store, park)
        self._caps = Caps(self._raw, park)
        self._quantities = park.quantities

    def roll(self, works: Sequence[Work], *, reason: str, now_ms: int) -> Counts:
        """Compute and publish; return what changed, and note in `rolled` what was computed."""
        counts = Counts()
        for batch in self._batches(works):
            self._check_stop()
            rolled = self._roll_batch(batch, now_ms)
            self.rolled = merged([*self.rolled, *(one.span for _, one in rolled)])
            self._owe()
            counts += self._publish(rolled, reason, now_ms)
        if self._woken:
            woken, self._woken = self._woken, []
            counts += self.roll(woken, reason=reason, now_ms=now_ms)
        return counts

    def _batches(self, works: Sequence[Work]) -> Iterator[list[Work]]:
        """Yield works of one medium and about the same time; long works in pieces, ascending."""
        batch: list[Work] = []
        start_ms, rows = 0, 0
        pieces = [piece for work in works for piece in self._pieces(work)]
        for work in sorted(pieces, key=lambda one: (one.span.start_ms // _DAY_MS, one.medium)):
            more = self._rows(work)
            is_near = work.span.start_ms - start_ms < _DAY_MS
            if batch and (work.medium is not batch[0].medium or not is_near or rows + more > _MAX_ROWS):
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
        most = max(1, _MAX_ROWS * self._counting(work.meter).poll_ms // SLOT_MS)
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
        batch = [work for work in batch if not self._is_woken(work, reads.get(work.meter, {}))]
        edges = [edge for work in batch for edge in self._edges(work, reads, stop_ms, now_ms)]
        self._raw.add_edges(reads, medium, edges)
        self._leave_out_lone(medium, {work.meter: reads.get(work.meter, {}) for work in batch})
        found = ((work, self._compute(work, reads.get(work.meter, {}), now_ms)) for work in batch)
        return [(work, maybe_rolled) for work, maybe_rolled in found if maybe_rolled is not None]

    def _is_woken(self, work: Work, reads: Mapping[str, list[tuple[int, int]]]) -> bool:
        """Tell whether a counter that was asleep is read again; its slots since then are then due, too."""
        asleep = {} if work.is_late or work.meter not in self.progress else self.progress[work.meter].asleep
        resumes_ms = [
            one.resume_ms
            for name, one in asleep.items()
            if one.resume_ms < work.span.start_ms and any(t > one.latest_ms for t, _ in reads.get(name, ()))
        ]
        if resumes_ms:
            span = SlotSpan(min(resumes_ms), work.span.stop_ms)
            self._woken.append(replace(work, span=span, idle_start_ms=None))
        return bool(resumes_ms)

    def _edges(self, work: Work, reads: Reads, stop_ms: int, now_ms: int) -> Iterator[Edge]:
        """Yield where to look for reads beyond the window: a slot's bounds may be far away."""
        span, counting = work.span, self._counting(work.meter)
        # A read before this one does not affect the slots of the span.
        enough_ms = span.start_ms - counting.return_ms
        count = _EDGE_READS + LOOK_BACK_MS // counting.poll_ms
        found = reads.get(work.meter, {})
        self.known[work.meter] |= {name for name, some in found.items() if some}
        for quantity in sorted(self.known[work.meter]):
            times_ms = [read[0] for read in found.get(quantity, ())]
            if not times_ms or min(times_ms) > enough_ms:
                yield Edge(work.meter, quantity, span.start_ms - LOOK_BACK_MS, is_before=True, count=count)
            if stop_ms < now_ms and (not times_ms or max(times_ms) < span.stop_ms):
                yield Edge(work.meter, quantity, stop_ms - 1, is_before=False, count=count)

    def _leave_out_lone(self, medium: Medium, reads: Mapping[str, dict[str, list[tuple[int, int]]]]) -> None:
        """Take reads that stand alone out of what was read; few are, so each is looked at for itself."""
        for meter, counters in reads.items():
            for quantity, some in counters.items():
                alone = {t for t in lone_times(some) if self._is_alone(medium, meter, quantity, t)}
                if alone:
                    counters[quantity] = [read for read in some if read[0] not in alone]

    def _is_alone(self, medium: Medium, meter: str, quantity: str, time_ms: int) -> bool:
        edges = [Edge(meter, quantity, time_ms, is_before=is_before) for is_before in (True, False)]
        near_ms = self._raw.row_times(medium, (quantity,), edges).get(meter, ())
        if any(abs(one_ms - time_ms) <= ALONE_MS for one_ms in near_ms):
            return False
        if near_ms and (meter, quantity, time_ms) not in self._logged_lone:
            self._logged_lone.add((meter, quantity, time_ms))
            _LOGGER.warning(
                "park %s: the read of %s of meter %s at %s stands alone, no other is within %d days: it is in"
                " no sum; was the gateway's clock right?",
                self._park,
                quantity,
                meter,
                datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds"),
                ALONE_MS // _DAY_MS,
            )
        return True

    def _compute(self, work: Work, reads: Mapping[str, list[tuple[int, int]]], now_ms: int) -> _Rolled | None:
        counting = self._counting(work.meter)
        all_series = {
            name: self._caps.series(CounterReads(work.meter, work.medium, name, work.span, found), counting)
            for name, found in reads.items()
            if found
        }
        if not all_series:
            return None
        latest_ms = max(series.times_ms[-1] for series in all_series.values())
        maybe_computed = self._due_span(work, all_series, latest_ms, now_ms)
        if maybe_computed is None:
            return None
        span = maybe_computed
        for name, series in all_series.items():
            self.notices += rises(work.meter, self._quantities[name], series, span)
        self.notices += exchanges(work.meter, counting.joints, span)
        values = {
            name: slot_values(
                series,
                start_ms=span.start_ms,
                stop_ms=span.stop_ms,
                tolerance_ms=tolerance_ms(counting.poll_ms),
            )
            for name, series in sorted(all_series.items())
        }
        begun_ms = {name: ceil_slot(series.times_ms[0]) for name, series in all_series.items()}
        points = {
            slot_ms: _fields({name: one[i] for name, one in values.items() if begun_ms[name] <= slot_ms})
            for i, slot_ms in enumerate(span.slots)
        }
        resume_ms = _resume_ms(_awake(all_series, latest_ms).values(), latest_ms, counting.return_ms, now_ms)
        asleep = {
            name: Asleep(_resume_ms([series], latest_ms, counting.return_ms, now_ms), series.times_ms[-1])
            for name, series in all_series.items()
            if name not in _awake(all_series, latest_ms)
        }
        return _Rolled(span, points, Progress(span.stop_ms, resume_ms, latest_ms, asleep))

    def _due_span(
        self, work: Work, all_series: Mapping[str, CounterSeries], latest_ms: int, now_ms: int
    ) -> SlotSpan | None:
        """Return the slots that have begun to be counted and are not waiting for a read."""
        maybe_progress = self.progress.get(work.meter)
        start_ms, stop_ms = work.span.start_ms, work.span.stop_ms
        begun_ms = ceil_slot(min(series.times_ms[0] for series in all_series.values()))
        if work.is_late:
            return maybe_span(max(start_ms, begun_ms), stop_ms)
        if maybe_progress is not None and start_ms > maybe_progress.next_ms:
            return None  # an earlier piece waits
        is_silent = latest_ms < floor_slot(now_ms) - 2 * SLOT_MS
        is_idle = is_silent and maybe_progress is not None and latest_ms == maybe_progress.latest_ms
        if is_idle and work.idle_start_ms is not None:
            start_ms = work.idle_start_ms
        bounded_ms = floor_slot(min(one.times_ms[-1] for one in _awake(all_series, latest_ms).values()))
        patient_ms = floor_slot(now_ms - self._counting(work.meter).grace_ms)
        return maybe_span(max(start_ms, begun_ms), min(stop_ms, max(bounded_ms, patient_ms)))

    def _publish(self, rolled: Sequence[tuple[Work, _Rolled]], reason: str, now_ms: int) -> Counts:
        if not rolled:
            return Counts()
        spans = [one.span for _, one in rolled]
        window = SlotSpan(min(span.start_ms for span in spans), max(span.stop_ms for span in spans))
        meters = sorted({work.meter for work, _ in rolled})
        before = self._derived.points(METER_15M, window, keys=("meter",), meters=meters)
        changes = Replacement(METER_15M, self._park)
        for work, one in rolled:
            tags = (("meter", work.meter),)
            old = before.get(tags, {})
            maybe_progress = self.progress.get(work.meter)
            settled_ms = one.span.stop_ms if maybe_progress is None else maybe_progress.resume_ms
            before_one = {t: old[t] for t in one.span.slots if t in old}
            changes.add(tags, before_one, one.points, settled_ms=settled_ms)
        counts = changes.make(self._store, reason=reason, now_ms=now_ms)
        reached = {work.meter: self._reached(work, one) for work, one in rolled}
        self._book.write_meters(reached)
        self.progress |= reached
        return counts

    def _reached(self, work: Work, one: _Rolled) -> Progress:
        """Return how far a meter is now; after late rows the reads around them are evaluated again."""
        if not work.is_late:
            return one.progress
        before = self.progress[work.meter]
        if one.span.stop_ms <= before.resume_ms:
            return before
        resume_ms = min(before.resume_ms, one.progress.resume_ms)
        return replace(before, resume_ms=resume_ms, latest_ms=None)


def _awake(all_series: Mapping[str, CounterSeries], latest_ms: int) -> Mapping[str, CounterSeries]:
    """Return the counters that were read within a day of the newest read of their meter."""
    return {name: series for name, series in all_series.items() if series.times_ms[-1] >= latest_ms - _DAY_MS}


def _fields(values: Mapping[str, SlotValue]) -> dict[str, Field]:
    """Return the fields of a slot's point."""
    fields: dict[str, Field] = {}
    for name, one in values.items():
        if one.value is not None:
            fields[name] = float(one.value)
        fields[quality_field(name)] = int(one.quality)
        fields[coverage_field(name)] = float(one.is_good)
    return fields


def _resume_ms(all_series: Iterable[CounterSeries], latest_ms: int, return_ms: int, now_ms: int) -> int:
    """Return the start of the first slot that a later read may change without a notice of being late.

    Whether a read is accepted is final once there are reads from beyond the return time after it; rows from
    before the last whole slot do not come any more without a notice.
    """
    resume_ms = latest_ms
    noticed_ms = floor_slot(now_ms - LATE_AFTER_MS)
    for series in all_series:
        settled_ms = min(series.times_ms[-1] - return_ms, noticed_ms - 1)
        final = [time_ms for time_ms in series.times_ms if time_ms <= settled_ms]
        resume_ms = min(resume_ms, final[-1] if final else series.times_ms[0])
    return floor_slot(resume_ms)
