"""Zone use: what a park, zone, building or tenant used, from its meters' slots. Pure.

For each group and carrier, with the relations that hold at the slot's start:

- *top-most* meters: in the group, fed by nothing or by a meter outside it;
- *passed on*: meters outside the group that are fed directly by a meter inside;
- import = sum of import of the top-most + sum of export of the passed on;
- export = sum of export of the top-most + sum of import of the passed on;
- generation = sum(export - import) of all its generation meters;
- storage charge = sum(import - export) of all its storage meters;
- **use = import - export + generation - storage charge**.

So import and export are what crossed the group's border, each way, and never negative. Water, gas and heat
have use alone, by the first two terms (import = forward volume, export = reverse volume).

Invariants:
- A sum has a value only if every meter in it has one; the share of good meters is its coverage, its quality
  is that of the worst. Nothing is ever taken for 0.
- A meter without a slot has not begun yet, and is no part of the sum. One without a counter of one direction
  does not count that direction.
- A meter whose `place` has ended belongs to no group, not even to the park.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from ingest.intervals.slots import SlotValue
from metering.park.model import Park, ParkMeter, Role
from metering.quantities import Medium
from metering.series import GroupField, IntervalQuality, Level

#: The slots of one instant: by meter, then by quantity.
MeterSlots = Mapping[str, Mapping[str, SlotValue]]
#: Of a meter that has begun, but whose slot is still to come: it counts as missing.
NO_SLOT: Mapping[str, SlotValue] = MappingProxyType({})


class Carrier(Enum):
    """What is summed: the medium, and its counters of import and export."""

    ELECTRICITY = (Medium.ELECTRICITY, "energy_import_wh", "energy_export_wh")
    WATER = (Medium.WATER, "volume_l", "volume_reverse_l")
    GAS = (Medium.GAS, "volume_l", "volume_reverse_l")
    HEAT = (Medium.HEAT, "heat_energy_wh", "")

    @property
    def medium(self) -> Medium:
        """The medium whose meters are summed."""
        return self.value[0]

    @property
    def forward(self) -> str:
        """The quantity that counts as import."""
        return self.value[1]

    @property
    def reverse(self) -> str:
        """The quantity that counts as export; empty where there is none."""
        return self.value[2]


USE_FIELDS = {
    Carrier.ELECTRICITY: GroupField.ELECTRICITY_USE,
    Carrier.WATER: GroupField.WATER_USE,
    Carrier.GAS: GroupField.GAS_USE,
    Carrier.HEAT: GroupField.HEAT_USE,
}


@dataclass(frozen=True, slots=True)
class Part:
    """A meter in a sum, with the signs of its import and its export (-1, 0, 1)."""

    meter: str
    forward: int
    reverse: int


@dataclass(frozen=True, slots=True)
class Sum:
    """One figure of a group: what is added up."""

    name: GroupField
    carrier: Carrier
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class GroupSums:
    """The figures of a group."""

    level: Level
    group: str
    sums: tuple[Sum, ...]


@dataclass(frozen=True, slots=True)
class GroupValue:
    """A figure of a group in a slot.

    Attributes:
        value: In the field's unit; `None` where a meter of the sum has none.
        coverage: Share of good meters, 0 to 1.
    """

    value: int | None
    quality: IntervalQuality
    coverage: float


def belongs(meter: ParkMeter, level: Level, instant_ms: int, *, park: str) -> str | None:
    """Return the group of a level that a meter counts in; past its place's end it counts nowhere."""
    if meter.place.spans and meter.place.maybe_at(instant_ms) is None:
        return None
    return meter.maybe_group(level, instant_ms, park=park)


def sums_at(park: Park, instant_ms: int) -> tuple[GroupSums, ...]:
    """Return what is added up for every group that has meters at an instant."""
    return tuple(_all_sums(park, instant_ms))


def _all_sums(park: Park, instant_ms: int) -> Iterator[GroupSums]:
    for level in Level:
        inside: dict[str, set[str]] = defaultdict(set)
        for meter in park.meters.values():
            maybe_group = belongs(meter, level, instant_ms, park=park.id)
            if maybe_group is not None:
                inside[maybe_group].add(meter.id)
        for group, ids in sorted(inside.items()):
            border = _Border(park, frozenset(ids), instant_ms)
            sums = tuple(one for carrier in Carrier for one in border.sums(carrier))
            if sums:
                yield GroupSums(level, group, sums)


@dataclass(frozen=True, slots=True)
class _Border:
    """A group's meters at an instant."""

    park: Park
    inside: frozenset[str]
    instant_ms: int

    def sums(self, carrier: Carrier) -> Iterator[Sum]:
        members = [m for m in self._meters(carrier) if m.id in self.inside]
        if not members:
            return
        net = [(m.id, 1, -1) for m in members if self._feeder(m) not in self.inside]
        net += [(m.id, -1, 1) for m in self._passed_on(carrier)]
        if carrier is not Carrier.ELECTRICITY:
            yield Sum(USE_FIELDS[carrier], carrier, _parts(net))
            return
        generation = [(m.id, -1, 1) for m in members if m.role is Role.GENERATION]
        storage = [(m.id, 1, -1) for m in members if m.role is Role.STORAGE]
        charge = [(meter, -forward, -reverse) for meter, forward, reverse in storage]
        yield Sum(GroupField.ELECTRICITY_USE, carrier, _parts([*net, *generation, *charge]))
        yield Sum(GroupField.ELECTRICITY_IMPORT, carrier, _positive(net))
        yield Sum(GroupField.ELECTRICITY_EXPORT, carrier, _positive([(m, -f, -r) for m, f, r in net]))
        if generation:
            yield Sum(GroupField.ELECTRICITY_GENERATION, carrier, _parts(generation))
        if storage:
            yield Sum(GroupField.ELECTRICITY_STORAGE_CHARGE, carrier, _parts(storage))

    def _meters(self, carrier: Carrier) -> Iterator[ParkMeter]:
        return (m for _, m in sorted(self.park.meters.items()) if m.medium is carrier.medium)

    def _feeder(self, meter: ParkMeter) -> str | None:
        return meter.fed_by.maybe_at(self.instant_ms)

    def _passed_on(self, carrier: Carrier) -> Iterator[ParkMeter]:
        """Meters outside that a meter inside feeds; one whose place has ended is gone."""
        for meter in self._meters(carrier):
            is_there = belongs(meter, Level.PARK, self.instant_ms, park=self.park.id) is not None
            if is_there and meter.id not in self.inside and self._feeder(meter) in self.inside:
                yield meter


def _parts(terms: Iterable[tuple[str, int, int]]) -> tuple[Part, ...]:
    """Add up the signs per meter; a meter that cancels out is left out, unless all do."""
    signs: dict[str, tuple[int, int]] = {}
    for meter, forward, reverse in terms:
        before = signs.get(meter, (0, 0))
        signs[meter] = (before[0] + forward, before[1] + reverse)
    parts = tuple(Part(meter, *pair) for meter, pair in signs.items())
    return tuple(part for part in parts if part.forward or part.reverse) or parts


def _positive(terms: Iterable[tuple[str, int, int]]) -> tuple[Part, ...]:
    """Keep the direction that adds."""
    return tuple(Part(meter, max(forward, 0), max(reverse, 0)) for meter, forward, reverse in terms)


class SumsOverTime:
    """The sums of a park at any instant, worked out once per stretch without a change of relations."""

    def __init__(self, park: Park) -> None:
        self._park = park
        self._changes_ms = park.relation_changes_ms()
        self._known: dict[int, tuple[GroupSums, ...]] = {}

    def at(self, instant_ms: int) -> tuple[GroupSums, ...]:
        """Return the sums that hold at an instant."""
        stretch = bisect_right(self._changes_ms, instant_ms)
        if stretch not in self._known:
            self._known[stretch] = sums_at(self._park, instant_ms)
        return self._known[stretch]


def evaluate(one: Sum, slots: MeterSlots) -> GroupValue | None:
    """Add up a figure of a slot; `None` where none of its meters has begun."""
    carrier = one.carrier
    total, good, count = 0, 0, 0
    worst = IntervalQuality.MEASURED
    for part in one.parts:
        maybe_slot = slots.get(part.meter)
        if maybe_slot is None:
            continue
        count += 1
        value, quality, is_good = _contribution(part, maybe_slot, carrier)
        total += value
        good += is_good
        worst = max(worst, quality)
    if not count:
        return None
    return GroupValue(None if worst is IntervalQuality.MISSING else total, worst, good / count)


def _contribution(
    part: Part, slot: Mapping[str, SlotValue], carrier: Carrier
) -> tuple[int, IntervalQuality, bool]:
    """Return a meter's part in a sum, its quality, and whether it is good."""
    maybe_forward, maybe_reverse = slot.get(carrier.forward), slot.get(carrier.reverse)
    if maybe_forward is None and maybe_reverse is None:
        return 0, IntervalQuality.MISSING, False
    total, is_good, worst = 0, True, IntervalQuality.MEASURED
    for sign, maybe_value in ((part.forward, maybe_forward), (part.reverse, maybe_reverse)):
        if not sign or maybe_value is None:
            continue
        total += sign * (maybe_value.value or 0)
        is_good = is_good and maybe_value.is_good
        worst = max(worst, maybe_value.quality)
    return total, worst, is_good


def live_signs(
    park: Park, carrier: Carrier, instant_ms: int
) -> Mapping[tuple[Level, str], Mapping[str, int]]:
    """Give, per group, the sign of each meter's power or flow in its use.

    Power and flow are import minus export, so a meter's sign is that of its import in the sum of use.
    """
    return {
        (group.level, group.group): {part.meter: part.forward for part in one.parts}
        for group in sums_at(park, instant_ms)
        for one in group.sums
        if one.name is USE_FIELDS[carrier]
    }
