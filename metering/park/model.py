"""The park: what a reading means. Meters, their places, tenants, gateways and feeders, each relation dated.

`Park` is what the programs use, built by `metering.park.file` from a park description. A meter is a measuring
point; an exchange of its device does not change the description. When a meter moves to another zone or
tenant, a span is added here; gateways and stored readings stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from metering.park.dated import Dated
from metering.quantities import VOCABULARY, Medium, Quantity
from metering.series import Level


class Role(StrEnum):
    """What the flow through a meter is for; decides its part in a zone's use."""

    GRID = "grid"
    GENERATION = "generation"
    STORAGE = "storage"
    USE = "use"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a meter is: a zone and perhaps a building in it."""

    zone: str
    building: str | None = None


@dataclass(frozen=True, slots=True)
class ParkMeter:
    """A measuring point.

    Attributes:
        place: Zone and building.
        tenant: Who uses what is measured.
        gateway: Which gateway may deliver its rows.
        fed_by: The meter of the same medium directly upstream; nothing = fed from outside the park.
        fuse_a: Rating of the fuse or breaker before it, A per phase; `None` = not known.
    """

    id: str
    name: str
    medium: Medium
    role: Role = Role.USE
    place: Dated[Place] = field(default_factory=Dated)
    tenant: Dated[str] = field(default_factory=Dated)
    gateway: Dated[str] = field(default_factory=Dated)
    fed_by: Dated[str] = field(default_factory=Dated)
    fuse_a: float | None = None

    def maybe_group(self, level: Level, instant_ms: int, *, park: str) -> str | None:
        """Return the group of a level that the meter belongs to at an instant."""
        if level is Level.PARK:
            return park
        if level is Level.TENANT:
            return self.tenant.maybe_at(instant_ms)
        place = self.place.maybe_at(instant_ms)
        if place is None:
            return None
        return place.zone if level is Level.ZONE else place.building


@dataclass(frozen=True, slots=True)
class Group:
    """A zone, building or tenant.

    Attributes:
        attributes: Dated numbers: `area_m2`, `people`, `output`.
    """

    id: str
    name: str
    attributes: Mapping[str, Dated[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Park:
    """A park; construct it through `metering.park.file.load_park`, which checks what must fit together."""

    id: str
    name: str
    timezone: ZoneInfo
    zones: Mapping[str, Group]
    buildings: Mapping[str, Group]
    tenants: Mapping[str, Group]
    meters: Mapping[str, ParkMeter]
    declared: Mapping[str, Quantity] = field(default_factory=dict)

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """The product's vocabulary and what the park declares besides."""
        return MappingProxyType({**VOCABULARY, **self.declared})

    def groups(self, level: Level) -> Mapping[str, Group]:
        """Return the groups of a level by id; the park is the one group of its own level."""
        by_level: Mapping[Level, Mapping[str, Group]] = {
            Level.PARK: {self.id: Group(self.id, self.name)},
            Level.ZONE: self.zones,
            Level.BUILDING: self.buildings,
            Level.TENANT: self.tenants,
        }
        return by_level[level]

    def members(self, level: Level, group: str, instant_ms: int) -> tuple[ParkMeter, ...]:
        """Return the meters that belong to a group at an instant, by id."""
        return tuple(
            meter
            for _, meter in sorted(self.meters.items())
            if meter.maybe_group(level, instant_ms, park=self.id) == group
        )

    def relation_changes_ms(self) -> tuple[int, ...]:
        """Return every instant at which a place, tenant, gateway or feeder changes, ascending."""
        return tuple(
            sorted(
                {
                    instant
                    for meter in self.meters.values()
                    for relation in (meter.place, meter.tenant, meter.gateway, meter.fed_by)
                    for instant in relation.changes_ms()
                }
            )
        )
