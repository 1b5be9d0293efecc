"""Groups' slots from meters' slots, and who belongs where.

What is computed is a function of `meter_15m`, the park description and, for members without slots, such as
thermometers, the raw readings; so a span may be computed again at any time.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingest.line import Field
from ingest.members import MemberLines
from ingest.rollup.derived import DerivedDatabase, Tags
from ingest.rollup.raw import RawDatabase
from ingest.rollup.replacement import Counts, Replacement, write_lines
from ingest.rollup.spans import Span
from ingest.store import Store
from ingest.zones import GroupSums, GroupValue, MeterSlots, SumsOverTime, evaluate
from metering.park import Park
from metering.quantities import Medium
from metering.series import (
    GROUP_15M,
    MEMBER,
    Level,
    coverage_field,
    quality_field,
    rollup_database,
)

#: Meters' slots held in memory at a time.
_MOST_POINTS = 100_000
_KEYS = ("level", "group")


@dataclass(frozen=True, slots=True)
class Regrouping:
    """What to derive again.

    Attributes:
        spans: Ascending.
        replaces_members: Whether members may have gone, not only come.
    """

    spans: Sequence[Span]
    reason: str
    replaces_members: bool = False


class GroupStage:
    """Derives a park's groups and members by one edition of its description."""

    def __init__(
        self,
        store: Store,
        park: Park,
        announced_by: Mapping[str, str | None],
        *,
        without_slots: Mapping[str, Medium],
        go_on: Callable[[], None],
    ) -> None:
        """Begin.

        Args:
            store: Where both databases are.
            park: The edition of the description to go by.
            announced_by: The gateway that announced each meter first.
            without_slots: Meters that count nothing, or not yet: members all the same.
            go_on: Called before each chunk; may raise to end the work there.
        """
        self._store = store
        self._go_on = go_on
        self._park = park
        self._derived = DerivedDatabase(store, park.id)
        self._raw = RawDatabase(store, park)
        self._without_slots = without_slots
        self._sums = SumsOverTime(park)
        self._members = MemberLines(park, announced_by)
        self._changes_ms = park.relation_changes_ms()
        self._most_slots = max(1, _MOST_POINTS // max(1, len(park.meters)))

    def derive(self, what: Regrouping, *, now_ms: int) -> Counts:
        """Derive and publish the groups of some spans, in the order of time.

        Raises:
            StoreError: when the store refuses; all of it may be done again.
        """
        counts = Counts()
        for span in what.spans:
            for chunk in span.chunks(self._most_slots):
                self._go_on()
                counts += self._derive_chunk(chunk, what, now_ms)
        return counts

    def _derive_chunk(self, chunk: Span, what: Regrouping, now_ms: int) -> Counts:
        slots = self._derived.meter_slots(chunk)
        database = rollup_database(self._park.id)
        if what.replaces_members:
            tags = {"park": self._park.id}
            self._store.delete(database, MEMBER, tags=tags, start_ms=chunk.start_ms, stop_ms=chunk.stop_ms)
        present = self._raw.present(self._without_slots, chunk)
        write_lines(self._store, database, self._member_lines(slots, present))
        before = self._derived.points(GROUP_15M, chunk, keys=_KEYS)
        after: dict[Tags, dict[int, dict[str, Field]]] = {}
        for slot_ms, meters in slots.items():
            for group in self._sums.at(slot_ms):
                fields = _fields(group, meters)
                if fields:
                    after.setdefault(_tags(group), {})[slot_ms] = fields
        changes = Replacement(GROUP_15M, self._park.id)
        # The park's own figures last: a slot of theirs says that all others of that time are there.
        for tags_of_one in sorted(before.keys() | after.keys(), key=_park_last):
            changes.add(tags_of_one, before.get(tags_of_one, {}), after.get(tags_of_one, {}))
        return changes.make(self._store, reason=what.reason, now_ms=now_ms)

    def _member_lines(
        self, slots: Mapping[int, MeterSlots], present: Mapping[int, set[str]]
    ) -> Iterator[bytes]:
        for slot_ms, meters in slots.items():
            stretch = bisect_right(self._changes_ms, slot_ms)
            for meter in meters.keys() | present.get(slot_ms, ()):
                yield from self._members.lines(meter, slot_ms, stretch=stretch)


def _park_last(tags: Tags) -> tuple[bool, Tags]:
    return dict(tags)["level"] == Level.PARK, tags


def _tags(group: GroupSums) -> Tags:
    return (("group", group.group), ("level", str(group.level)))


def _fields(group: GroupSums, meters: MeterSlots) -> dict[str, Field]:
    """Give the fields of a group's slot; none where none of its meters has begun."""
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
