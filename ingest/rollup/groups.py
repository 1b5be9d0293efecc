"""Groups' slots from meters' slots, and who belongs where.

What is computed is a function of `meter_15m`, the park description and, for members without slots, such as
thermometers, the raw readings; so a span may be computed again at any time. A group's slot waits for those of
its meters that have slots but not this one yet; once it has waited long enough, they count as missing.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingest.intervals.spans import SlotSpan
from ingest.intervals.zone_use import NO_SLOT, GroupSums, GroupValue, MeterSlots, SumsOverTime, evaluate
from ingest.rollup.series.derived import DerivedDatabase, Tags
from ingest.rollup.series.members import MemberLines
from ingest.rollup.series.raw import RawDatabase
from ingest.rollup.series.replacement import Counts, Replacement, write_lines
from ingest.store.contract import Store
from ingest.store.line_protocol import Field
from metering.park.dated import END_MS
from metering.park.model import Park
from metering.quantities import Medium
from metering.series import (
    GROUP_15M,
    MEMBER,
    SLOT_MS,
    coverage_field,
    quality_field,
    rollup_database,
)

#: Meters' slots held in memory at a time.
_MAX_POINTS = 100_000
_KEYS = ("level", "group")


@dataclass(frozen=True, slots=True)
class Regrouping:
    """What to derive again.

    Attributes:
        spans: Ascending.
        replaces_members: Whether members may have gone, not only come.
    """

    spans: Sequence[SlotSpan]
    reason: str
    replaces_members: bool = False


@dataclass(frozen=True, slots=True)
class Readiness:
    """How far the meters of a park are.

    Attributes:
        next_ms: Start of each meter's first slot that is not published.
        settled_ms: From here on each meter's slots were not settled.
        waited_ms: Before this boundary no group waits for a meter.
    """

    next_ms: Mapping[str, int]
    settled_ms: Mapping[str, int]
    waited_ms: int

    def absent(self, slot_ms: int) -> Iterator[str]:
        """Yield the meters whose slot is still to come."""
        return (meter for meter, next_ms in self.next_ms.items() if next_ms <= slot_ms)


class GroupStage:
    """Derives a park's groups and members by one edition of its description."""

    def __init__(
        self,
        store: Store,
        park: Park,
        announced_by: Mapping[str, str | None],
        *,
        media: Mapping[str, Medium],
        readiness: Readiness,
        check_stop: Callable[[], None],
    ) -> None:
        """Begin.

        Args:
            store: Where both databases are.
            park: The edition of the description to go by.
            announced_by: The gateway that announced each meter first.
            media: Of all meters; one that counts nothing, or not yet, is a member all the same.
            readiness: How far they are.
            check_stop: Called before each chunk; may raise to end the work there.
        """
        self._store = store
        self._check_stop = check_stop
        self._park = park
        self._derived = DerivedDatabase(store, park.id)
        self._raw = RawDatabase(store, park)
        self._media = media
        self._readiness = readiness
        self._sums = SumsOverTime(park)
        self._members = MemberLines(park, announced_by)
        self._changes_ms = park.relation_changes_ms()
        self._max_slots = max(1, _MAX_POINTS // max(1, len(park.meters)))

    def derive(self, what: Regrouping, *, now_ms: int) -> Counts:
        """Derive and publish the groups of some spans, in the order of time.

        Raises:
            StoreError: when the store refuses; all of it may be done again.
        """
        counts = Counts()
        for span in what.spans:
            for chunk in span.chunks(self._max_slots):
                self._check_stop()
                counts += self._derive_chunk(chunk, what, now_ms)
        return counts

    def _derive_chunk(self, chunk: SlotSpan, what: Regrouping, now_ms: int) -> Counts:
        slots = self._derived.meter_slots(chunk)
        database = rollup_database(self._park.id)
        if what.replaces_members:
            tags = {"park": self._park.id}
            self._store.delete(database, MEMBER, tags=tags, start_ms=chunk.start_ms, stop_ms=chunk.stop_ms)
        present = self._raw.present(self._without_slots(slots), chunk)
        write_lines(self._store, database, self._member_lines(slots, present))
        before = self._derived.points(GROUP_15M, chunk, keys=_KEYS)
        after: dict[Tags, dict[int, dict[str, Field]]] = {}
        settled_ms: dict[Tags, int] = {}
        for slot_ms, meters in slots.items():
            for group, fields in self._groups(slot_ms, meters):
                after.setdefault(_tags(group), {})[slot_ms] = fields
                settled_ms[_tags(group)] = min(settled_ms.get(_tags(group), END_MS), self._settled_ms(group))
        changes = Replacement(GROUP_15M, self._park.id)
        for tags_of_one in sorted(before.keys() | after.keys()):
            changes.add(
                tags_of_one,
                before.get(tags_of_one, {}),
                after.get(tags_of_one, {}),
                settled_ms=settled_ms.get(tags_of_one, END_MS),
            )
        return changes.make(self._store, reason=what.reason, now_ms=now_ms)

    def _groups(self, slot_ms: int, meters: MeterSlots) -> Iterator[tuple[GroupSums, dict[str, Field]]]:
        """Yield the groups that have a slot and wait for none of their meters, with its fields."""
        absent = {meter for meter in self._readiness.absent(slot_ms) if meter not in meters}
        is_waiting = slot_ms + SLOT_MS > self._readiness.waited_ms
        known = {**meters, **dict.fromkeys(absent, NO_SLOT)} if absent else meters
        for group in self._sums.at(slot_ms):
            if not (is_waiting and absent and absent & _meters_of(group)):
                fields = _fields(group, known)
                if fields:
                    yield group, fields

    def _settled_ms(self, group: GroupSums) -> int:
        settled_ms = self._readiness.settled_ms
        return min((settled_ms.get(meter, END_MS) for meter in _meters_of(group)), default=END_MS)

    def _without_slots(self, slots: Mapping[int, MeterSlots]) -> Mapping[str, Medium]:
        """Return the meters that do not have all of these slots."""
        with_all = set.intersection(*(set(meters) for meters in slots.values()))
        return {meter: medium for meter, medium in self._media.items() if meter not in with_all}

    def _member_lines(
        self, slots: Mapping[int, MeterSlots], present: Mapping[int, set[str]]
    ) -> Iterator[bytes]:
        for slot_ms, meters in slots.items():
            stretch = bisect_right(self._changes_ms, slot_ms)
            for meter in meters.keys() | present.get(slot_ms, ()):
                yield from self._members.lines(meter, slot_ms, stretch=stretch)


def _meters_of(group: GroupSums) -> set[str]:
    return {part.meter for one in group.sums for part in one.parts}


def _tags(group: GroupSums) -> Tags:
    return (("group", group.group), ("level", str(group.level)))


def _fields(group: GroupSums, meters: MeterSlots) -> dict[str, Field]:
    """Return the fields of a group's slot; none where none of its meters has begun."""
    fields: dict[str, Field] = {}
    for one in group.sums:
        maybe_value = evaluate(one, meters)
        if maybe_value is not None:
            fields |= _figure(one.name, maybe_value)
    return fields


def _figure(name: str, value: GroupValue) -> dict[str, Field]:
    fields: dict[str, Field] = {} if value.value is None else {name: float(value.value)}
    fields[quality_field(name)] = int(value.quality)
    fields[coverage_field(name)] = value.coverage
    return fields
