"""What is due in a park's rollup, and in which order.

One cycle: late rows, then slots that have ended, then the groups over both. Late rows are dealt with as far
as slots are published; later slots are computed from all rows, late or not, when their turn comes. How far it
all is stands in the derived database (`ingest.rollup.series.progress`), and nothing is kept outside the
store.

Groups: a group's slot is derived once the slots of its meters are published, at the latest `GROUP_GRACE_MS`
after its end: then what is not there counts as missing. It is derived again when it comes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from ingest.intervals.counters import HOLD_MS
from ingest.intervals.slots import ceil_slot, floor_slot
from ingest.intervals.spans import SlotSpan, maybe_span, merged
from ingest.rollup.groups import GroupStage, Readiness, Regrouping
from ingest.rollup.late import LateNoticeLog
from ingest.rollup.meters import MeterStage, Work
from ingest.rollup.notices import NoticeBoard
from ingest.rollup.park_edition import fingerprint, maybe_changed_from
from ingest.rollup.series.derived import DerivedDatabase
from ingest.rollup.series.facts import UNKNOWN, read_facts
from ingest.rollup.series.progress import ParkProgress, ProgressBook
from ingest.rollup.series.raw import Edge, RawDatabase
from ingest.rollup.series.replacement import Counts
from ingest.store.contract import Store
from ingest.store.line_protocol import encode_point
from metering.park.dated import BEGINNING_MS
from metering.park.model import Park
from metering.quantities import Medium
from metering.series import GROUP_GRACE_MS, PARK_EDITION, SLOT_MS, rollup_database

#: By then the read that bounds a slot is there, unless it is polled less often than every 10 s; not to look
#: before spares reading everything twice.
_BOUNDING_READ_MS = 12_000
#: A meter whose rows were left out is named for so long.
_LEFT_OUT_FOR_MS = 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Cycle:
    """What a cycle did."""

    meters: Counts
    groups: Counts

    @property
    def did_something(self) -> bool:
        """Whether it changed any point."""
        return self.meters + self.groups != Counts()


class Rollup:
    """The rollup of one park; used by one thread at a time."""

    def __init__(self, store: Store, park: Park, *, check_stop: Callable[[], None] = lambda: None) -> None:
        """Begin; nothing is read before the first cycle.

        Args:
            store: Where the park's databases are.
            park: Its description.
            check_stop: Called between pieces of long work; may raise to end a cycle there, which loses
            nothing.
        """
        self._store = store
        self._check_stop = check_stop
        self.park = park
        self._raw = RawDatabase(store, park)
        self._derived = DerivedDatabase(store, park.id)
        self._meters = MeterStage(store, park, owe=self._owe, check_stop=check_stop)
        self._book = ProgressBook(store, park.id)
        self.board = NoticeBoard(store, park.id)
        self._late: LateNoticeLog | None = None
        self._looked_at_ms = 0
        #: When rows of an unsynchronised clock were last found, by meter.
        self._left_out_ms: Mapping[str, int] = {}
        #: Time of the first read of each counter, by meter.
        self._first_ms: Mapping[str, Mapping[str, int]] = {}
        self._first_slot_ms: int | None = None
        self._kept = ParkProgress()
        #: Meters' slots from here on were not settled when the groups were last derived.
        self._settled_ms: Mapping[str, int] = {}
        #: From when on groups must be derived by another edition of the park.
        self._edited_from_ms: int | None = None

    def change_park(self, park: Park) -> None:
        """Use another edition of the park's description."""
        if self._late is not None:
            self._note_edit(maybe_changed_from(self.park, park))
        self.park = park
        self._raw = RawDatabase(self._store, park)
        self._meters.change_park(park)

    def _note_edit(self, maybe_from_ms: int | None) -> None:
        if maybe_from_ms is not None:
            before_ms = maybe_from_ms if self._edited_from_ms is None else self._edited_from_ms
            self._edited_from_ms = min(maybe_from_ms, before_ms)

    def cycle(self, now_ms: int, *, is_patient: bool = True) -> Cycle:
        """Do what is due at a time.

        Args:
            now_ms: UTC.
            is_patient: Whether a stream of late rows may be waited for.

        Raises:
            StoreError: when the store fails; the next cycle continues from there.
        """
        late = self._late or self._begin(now_ms)
        late.note(self._raw.late(since_ms=late.read_from_ms), now_ms=now_ms)
        due = late.due(now_ms=now_ms, is_patient=is_patient)
        ended_ms = floor_slot(now_ms)
        if due or ended_ms > self._looked_at_ms or self._edited_from_ms is not None:
            self._look_around(now_ms, due)
        counts = self._meters.roll(self._late_works(due), reason="late", now_ms=now_ms)
        self._meters.rolled = merged([*self._meters.rolled, *self._member_spans(due, ended_ms)])
        wait_ms = _BOUNDING_READ_MS if is_patient else 0
        ended = self._ended_works(floor_slot(now_ms - wait_ms))
        counts += self._meters.roll(ended, reason="continued", now_ms=now_ms)
        groups = self._derive_groups("late" if due else "continued", now_ms)
        late.done(due)
        if due or groups.written:
            self._keep(replace(self._kept, owed=(), noticed_ms=late.settled_ms))
        self.board.report(self._meters.notices, now_ms)
        self._meters.notices = []
        return Cycle(counts, groups)

    def _begin(self, now_ms: int) -> LateNoticeLog:
        """Find out where a former process stopped."""
        self._look_around(now_ms)
        self._meters.progress, self._kept = self._book.read()
        self._meters.rolled = list(self._kept.owed)
        self._settled_ms = {meter: one.resume_ms for meter, one in self._meters.progress.items()}
        maybe_edition = self._derived.maybe_edition()
        if maybe_edition is not None and maybe_edition != fingerprint(self.park):
            self._edited_from_ms = BEGINNING_MS
        if self._kept.noticed_ms is None:  # nothing was derived yet: all readings will be, whenever they came
            self._keep(replace(self._kept, noticed_ms=now_ms))
        self._late = LateNoticeLog(since_ms=min(now_ms, self._kept.noticed_ms or now_ms))
        return self._late

    def _keep(self, progress: ParkProgress) -> None:
        self._book.write_park(progress)
        self._kept = progress

    def _owe(self) -> None:
        """Write down what the groups will not be derived from, before it is changed."""
        if self._kept.grouped_ms is None:
            return
        grouped_ms = self._kept.grouped_ms
        spans = (maybe_span(one.start_ms, min(one.stop_ms, grouped_ms)) for one in self._meters.rolled)
        owed = tuple(span for span in spans if span is not None)
        if owed != self._kept.owed:
            self._keep(replace(self._kept, owed=owed))

    def _look_around(self, now_ms: int, due: Mapping[str, tuple[int, int]] | None = None) -> None:
        """Read again which meters there are, and what is known of them."""
        self._meters.catalogue = self._raw.catalogue()
        self._meters.facts = read_facts(self._store, self.park)
        is_new = bool(self._meters.catalogue.meters.keys() - self._meters.progress.keys())
        if is_new or due or self._late is None:
            self._first_ms = self._raw.first_reads(self._meters.catalogue)
            for meter, counters in self._first_ms.items():
                self._meters.known[meter] |= counters.keys()
        self._first_slot_ms = self._derived.maybe_first_ms()
        self._look_for_lost_time(due or {}, now_ms)
        self._looked_at_ms = floor_slot(now_ms)

    def _look_for_lost_time(self, due: Mapping[str, tuple[int, int]], now_ms: int) -> None:
        """Note the meters whose rows are left out, as their gateway's clock is not synchronised."""
        found = self._raw.without_time(since_ms=now_ms - SLOT_MS, spans_ms=due)
        seen_ms = {**self._left_out_ms, **dict.fromkeys(found, now_ms)}
        self._left_out_ms = {
            meter: at_ms for meter, at_ms in seen_ms.items() if now_ms - at_ms < _LEFT_OUT_FOR_MS
        }

    @property
    def left_out(self) -> tuple[str, ...]:
        """Meters with rows in the last hour that are in no sum, for want of a synchronised clock."""
        return tuple(sorted(self._left_out_ms))

    def _late_works(self, due: Mapping[str, tuple[int, int]]) -> list[Work]:
        """Plan the published slots that late rows touch."""
        by_medium: dict[Medium, dict[str, tuple[int, int]]] = {}
        # One that has no slots yet is computed from its first read on, late or not.
        for meter in due.keys() & self._meters.progress.keys():
            maybe_medium = self._meters.catalogue.meters.get(meter)
            if maybe_medium is not None:
                by_medium.setdefault(maybe_medium, {})[meter] = due[meter]
        works = []
        for medium, some in by_medium.items():
            for meter, (from_ms, to_ms) in self._touched(medium, some).items():
                stop_ms = min(ceil_slot(to_ms), self._meters.progress[meter].next_ms)
                maybe_touched = maybe_span(floor_slot(from_ms), stop_ms)
                if maybe_touched is not None:
                    works.append(Work(meter, medium, maybe_touched, is_late=True))
        return works

    def _member_spans(self, due: Mapping[str, tuple[int, int]], ended_ms: int) -> Iterator[SlotSpan]:
        """Yield where late rows may make members of meters that have no slots."""
        first_ms = ended_ms if self._first_slot_ms is None else self._first_slot_ms
        for from_ms, to_ms in due.values():
            maybe_one = maybe_span(floor_slot(max(from_ms, first_ms)), min(ceil_slot(to_ms + 1), ended_ms))
            if maybe_one is not None:
                yield maybe_one

    def _touched(self, medium: Medium, due: Mapping[str, tuple[int, int]]) -> Mapping[str, tuple[int, int]]:
        """Return how far what came late bears on slots: to the next reads that it cannot change.

        Whether a read is accepted depends on those within the return time, and these on others; the reads
        of the counter that are further away are as they were, and so are the slots beyond them.
        """
        counters = self._meters.catalogue.counters[medium]
        within = self._raw.counters_within(medium, counters, due)
        edges = []
        reach: dict[str, tuple[int, int]] = {}
        for meter, (from_ms, to_ms) in due.items():
            return_ms = self._meters.facts.get(meter, UNKNOWN).return_ms
            reach[meter] = (from_ms - 2 * return_ms, to_ms + HOLD_MS + 2 * return_ms)
            for quantity in ("", *within.get(meter, ())):
                edges += [
                    Edge(meter, quantity, reach[meter][0], is_before=True),
                    Edge(meter, quantity, reach[meter][1], is_before=False),
                ]
        around = self._raw.row_times(medium, counters, edges)
        return {
            meter: (
                min((from_ms, *around.get(meter, ()))),
                max((to_ms, *around.get(meter, ()))) + self._meters.facts.get(meter, UNKNOWN).return_ms,
            )
            for meter, (from_ms, to_ms) in reach.items()
        }

    def _ended_works(self, ended_ms: int) -> list[Work]:
        """Plan the slots that have ended and are not published, and those before that may still change."""
        works = []
        for meter, medium in self._meters.catalogue.meters.items():
            maybe_progress = self._meters.progress.get(meter)
            if maybe_progress is not None:
                if maybe_progress.next_ms >= ended_ms:
                    continue
                start_ms, idle_start_ms = maybe_progress.resume_ms, maybe_progress.next_ms
            elif meter in self._first_ms:
                start_ms = idle_start_ms = ceil_slot(min(self._first_ms[meter].values()))
            else:
                continue
            maybe_due = maybe_span(start_ms, ended_ms)
            if maybe_due is not None:
                works.append(Work(meter, medium, maybe_due, idle_start_ms))
        return works

    def _derive_groups(self, reason: str, now_ms: int) -> Counts:
        """Derive the groups of what has changed, and of the slots whose turn it is."""
        ended_ms, waited_ms = floor_slot(now_ms), floor_slot(now_ms - GROUP_GRACE_MS)
        ready_ms = min(ended_ms, max(waited_ms, self._published_ms(ended_ms)))
        is_edited = self._edited_from_ms is not None
        spans = merged(self._spans_to_group(ready_ms, ended_ms))
        if spans and self._kept.grouped_ms is None and not is_edited:
            self._note_edition(now_ms)  # first of all, so that an edit after a kill is noticed
        what = Regrouping(spans, "park edited" if is_edited else reason, replaces_members=is_edited)
        counts = self._group_stage(waited_ms).derive(what, now_ms=now_ms)
        if is_edited:
            self._note_edition(now_ms)
        if spans:
            grouped_ms = max(ready_ms, self._kept.grouped_ms or ready_ms)
            self._keep(replace(self._kept, grouped_ms=grouped_ms, owed=()))
        self._settled_ms = {meter: one.resume_ms for meter, one in self._meters.progress.items()}
        self._meters.rolled = []
        return counts

    def _published_ms(self, ended_ms: int) -> int:
        """Return the boundary up to which all meters of the park are published."""
        waiting = self._waiting()
        return min((waiting[meter] for meter in waiting.keys() & self.park.meters), default=ended_ms)

    def _waiting(self) -> Mapping[str, int]:
        """Return the start of each meter's first slot that is not published; without readings it has none."""
        there = self._meters.progress.keys() & self._meters.catalogue.meters
        return {meter: self._meters.progress[meter].next_ms for meter in there}

    def _spans_to_group(self, ready_ms: int, ended_ms: int) -> Iterator[SlotSpan]:
        """Yield what has changed, what is ready, and what was edited."""
        rolled = self._meters.rolled
        yield from rolled
        first_slots_ms = [one.start_ms for one in rolled[:1]]
        if self._first_slot_ms is not None:
            first_slots_ms.append(self._first_slot_ms)
        first_ms = min(first_slots_ms, default=ended_ms)
        grouped_ms = first_ms if self._kept.grouped_ms is None else self._kept.grouped_ms
        if grouped_ms < ready_ms:
            yield SlotSpan(grouped_ms, ready_ms)
        if self._edited_from_ms is not None and max(self._edited_from_ms, first_ms) < ended_ms:
            yield SlotSpan(floor_slot(max(self._edited_from_ms, first_ms)), ended_ms)

    def _group_stage(self, waited_ms: int) -> GroupStage:
        announced_by = {meter: one.gateway for meter, one in self._meters.facts.items()}
        readiness = Readiness(self._waiting(), self._settled_ms, waited_ms)
        return GroupStage(
            self._store,
            self.park,
            announced_by,
            media=self._meters.catalogue.media,
            readiness=readiness,
            check_stop=self._check_stop,
        )

    def _note_edition(self, now_ms: int) -> None:
        line = encode_point(
            PARK_EDITION, (("park", self.park.id),), {"fingerprint": fingerprint(self.park)}, now_ms
        )
        self._store.write(rollup_database(self.park.id), line)
        self._edited_from_ms = None
