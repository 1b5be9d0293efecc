"""What is due in a park's rollup, and in which order.

One cycle: late rows, then slots that have ended, then the groups over both, earliest first. The newest slot
of the park as a whole is written last, so it tells a later process up to where everything was dealt with:

- slots that ended after it are due;
- late rows noticed since ten minutes before its end are dealt with again, which changes nothing where they
  were dealt with before.

Nothing else is remembered, and nothing is kept outside the store.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ingest.counters import HOLD_MS
from ingest.intervals import ceil_slot, floor_slot
from ingest.line import encode_point
from ingest.park_edition import fingerprint, maybe_changed_from
from ingest.rollup.derived import DerivedDatabase
from ingest.rollup.facts import UNKNOWN, read_facts
from ingest.rollup.groups import GroupStage, Regrouping
from ingest.rollup.late import LateBook
from ingest.rollup.meters import MeterStage, Work
from ingest.rollup.notices import NoticeBoard
from ingest.rollup.raw import Edge, RawDatabase
from ingest.rollup.replacement import Counts
from ingest.rollup.spans import Span, maybe_span, merged
from ingest.store import Store
from metering.park import Park
from metering.quantities import Medium
from metering.series import PARK_EDITION, SLOT_MS, rollup_database

#: By then the read that bounds a slot is there, unless it is polled less often than every 10 s; not to look
#: before spares reading everything twice.
_BOUNDING_READ_MS = 12_000


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

    def __init__(self, store: Store, park: Park, *, go_on: Callable[[], None] = lambda: None) -> None:
        """Begin; nothing is read before the first cycle.

        Args:
            store: Where the park's databases are.
            park: Its description.
            go_on: Called between pieces of long work; may raise to end a cycle there, which loses nothing.
        """
        self._store = store
        self._go_on = go_on
        self.park = park
        self._raw = RawDatabase(store, park)
        self._derived = DerivedDatabase(store, park.id)
        self._meters = MeterStage(store, park, go_on=go_on)
        self.board = NoticeBoard(store, park.id)
        self._late: LateBook | None = None
        self._looked_at_ms = 0
        self._first_ms: Mapping[str, int] = {}
        self._grouped_ms: int | None = None
        #: From when on groups must be derived by another edition of the park.
        self._edited_from_ms: int | None = None

    def change_park(self, park: Park) -> None:
        """Go on by another edition of the park's description."""
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
            StoreError: when the store does not do its part; the next cycle goes on from there.
        """
        late = self._late or self._begin(now_ms)
        late.note(self._raw.late(since_ms=late.read_from_ms), now_ms=now_ms)
        due = late.due(now_ms=now_ms, is_patient=is_patient)
        ended_ms = floor_slot(now_ms)
        if due or ended_ms > self._looked_at_ms or self._edited_from_ms is not None:
            self._look_around(ended_ms)
        counts = self._meters.roll(self._late_works(due, ended_ms), reason="late", now_ms=now_ms)
        wait_ms = _BOUNDING_READ_MS if is_patient else 0
        ended = self._ended_works(floor_slot(now_ms - wait_ms))
        counts += self._meters.roll(ended, reason="continued", now_ms=now_ms)
        groups = self._derive_groups("late" if due else "continued", now_ms)
        late.done(due)
        self.board.tell(self._meters.notices, now_ms)
        self._meters.notices = []
        return Cycle(counts, groups)

    def _begin(self, now_ms: int) -> LateBook:
        """Find out where a former process stopped."""
        self._look_around(floor_slot(now_ms))
        self._meters.recall()
        self._grouped_ms = self._derived.maybe_last_group_ms()
        if self._grouped_ms is not None and self._derived.maybe_edition() != fingerprint(self.park):
            self._edited_from_ms = self._derived.maybe_first_ms()
        stopped_ms = now_ms if self._grouped_ms is None else self._grouped_ms + SLOT_MS
        self._late = LateBook(since_ms=min(now_ms, stopped_ms))
        return self._late

    def _look_around(self, ended_ms: int) -> None:
        """Read again which meters there are, and what is known of them."""
        self._meters.catalogue = self._raw.catalogue()
        self._meters.facts = read_facts(self._store, self.park)
        is_new = self._meters.catalogue.meters.keys() - self._meters.progress.keys()
        self._first_ms = self._raw.first_reads(self._meters.catalogue) if is_new else {}
        self._looked_at_ms = ended_ms

    def _late_works(self, due: Mapping[str, tuple[int, int]], ended_ms: int) -> list[Work]:
        """Plan the slots that late rows touch: from the read before them to the one after."""
        by_medium: dict[Medium, list[str]] = {}
        # One that has no slots yet is computed from its first read on, late or not.
        for meter in due.keys() & self._meters.progress.keys():
            maybe_medium = self._meters.catalogue.meters.get(meter)
            if maybe_medium is not None:
                by_medium.setdefault(maybe_medium, []).append(meter)
        works = []
        for medium, meters in by_medium.items():
            around = self._raw.row_times(
                medium,
                self._meters.catalogue.counters[medium],
                [Edge(meter, "", due[meter][i], is_before=i == 0) for meter in meters for i in (0, 1)],
            )
            for meter in meters:
                return_ms = self._meters.facts.get(meter, UNKNOWN).return_ms
                times_ms = (*due[meter], *around.get(meter, ()))
                maybe_touched = maybe_span(
                    floor_slot(min(times_ms) - return_ms),
                    min(ceil_slot(max(times_ms) + max(HOLD_MS, return_ms)), ended_ms),
                )
                if maybe_touched is not None:
                    works.append(Work(meter, medium, maybe_touched))
        return works

    def _ended_works(self, ended_ms: int) -> list[Work]:
        """Plan the slots that have ended and are not published, and those before that may still change."""
        meters = self._meters.catalogue.meters
        works = []
        for meter, medium in meters.items():
            maybe_progress = self._meters.progress.get(meter)
            if maybe_progress is not None:
                if maybe_progress.next_ms >= ended_ms:
                    continue
                start_ms, idle_start_ms = maybe_progress.resume_ms, maybe_progress.next_ms
            elif meter in self._first_ms:
                start_ms = idle_start_ms = ceil_slot(self._first_ms[meter])
            else:
                continue
            maybe_due = maybe_span(start_ms, ended_ms)
            if maybe_due is not None:
                works.append(Work(meter, medium, maybe_due, idle_start_ms))
        return works

    def _derive_groups(self, reason: str, now_ms: int) -> Counts:
        """Derive the groups of what has changed, up to where all meters are published."""
        ready_ms = self._meters.ready_ms()
        due = [maybe_span(span.start_ms, min(span.stop_ms, ready_ms)) for span in self._meters.rolled]
        due.append(maybe_span(self._ungrouped_ms(ready_ms), ready_ms))
        maybe_edited = self._maybe_edited_span(ready_ms)
        due.append(maybe_edited)
        what = Regrouping(
            merged(span for span in due if span is not None),
            "park edited" if maybe_edited else reason,
            replaces_members=maybe_edited is not None,
        )
        counts = self._group_stage().derive(what, now_ms=now_ms)
        if (what.spans and self._grouped_ms is None) or self._edited_from_ms is not None:
            self._note_edition(now_ms)
        if what.spans:
            self._grouped_ms = max(self._grouped_ms or 0, what.spans[-1].stop_ms - SLOT_MS)
        self._meters.rolled = []
        return counts

    def _ungrouped_ms(self, ready_ms: int) -> int:
        """Give the start of the first slot without groups; a first run may have broken off before any."""
        if self._grouped_ms is not None:
            return self._grouped_ms + SLOT_MS
        maybe_first_ms = self._derived.maybe_first_ms()
        return ready_ms if maybe_first_ms is None else maybe_first_ms

    def _maybe_edited_span(self, ready_ms: int) -> Span | None:
        maybe_first_ms = None if self._edited_from_ms is None else self._derived.maybe_first_ms()
        if self._edited_from_ms is None or maybe_first_ms is None:
            return None
        return maybe_span(floor_slot(max(self._edited_from_ms, maybe_first_ms)), ready_ms)

    def _group_stage(self) -> GroupStage:
        announced_by = {meter: one.gateway for meter, one in self._meters.facts.items()}
        media, progress = self._meters.catalogue.media, self._meters.progress
        without_slots = {meter: medium for meter, medium in media.items() if meter not in progress}
        return GroupStage(
            self._store, self.park, announced_by, without_slots=without_slots, go_on=self._go_on
        )

    def _note_edition(self, now_ms: int) -> None:
        line = encode_point(
            PARK_EDITION, (("park", self.park.id),), {"fingerprint": fingerprint(self.park)}, now_ms
        )
        self._store.write(rollup_database(self.park.id), line)
        self._edited_from_ms = None
