"""The form of the park description file (`park.yaml`); `metering.park.file` turns it into a `Park`.

A relation is written as one value that always holds, or as a list of spans with `valid_from` (included) and
`valid_to` (excluded), each a local day or an instant.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field

from metering.names import GATEWAY_ID_PATTERN, METER_ID_PATTERN, PARK_ID_PATTERN
from metering.park.dated import BEGINNING_MS, END_MS, Dated, Span, in_order, to_ms
from metering.park.model import Role
from metering.program.config import Location, Model, NotKnown, did_you_mean, while_known
from metering.quantities import VOCABULARY, Kind, Medium, Quantity, Unit

T = TypeVar("T")
ParkId = Annotated[str, Field(pattern=PARK_ID_PATTERN)]
GatewayId = Annotated[str, Field(pattern=GATEWAY_ID_PATTERN)]
MeterId = Annotated[str, Field(pattern=METER_ID_PATTERN)]
QuantityName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,62}$")]


class DatedEntry(Model):
    """The keys that every dated table has."""

    valid_from: datetime | date | None = Field(
        default=None, description="First local day or instant; default: always"
    )
    valid_to: datetime | date | None = Field(
        default=None, description="First local day or instant that no longer counts; default: for ever"
    )
    source: str | None = Field(default=None, description="Where this is known from")


class PlaceEntry(DatedEntry):
    """Zone, and perhaps building, of a meter."""

    zone: MeterId = Field(description="Id of a zone")
    building: MeterId | None = Field(default=None, description="Id of a building")


class TenantEntry(DatedEntry):
    """Tenant of a meter."""

    tenant: MeterId = Field(description="Id of a tenant")


class GatewayEntry(DatedEntry):
    """Gateway that may deliver a meter's rows."""

    gateway: GatewayId = Field(description="Id of a gateway")


class FeederEntry(DatedEntry):
    """Meter directly upstream."""

    fed_by: MeterId = Field(description="Id of a meter of the same medium")


class NumberEntry(DatedEntry):
    """A number, such as an area in m2."""

    value: float = Field(ge=0, description="The number")


def _as_entries(key: str) -> Callable[[object], object]:
    """Make the short form (one value that always holds) a list of one entry."""

    def expand(written: object) -> object:
        return [{key: written}] if isinstance(written, str | int | float) else written

    return expand


Places = Annotated[
    tuple[PlaceEntry, ...],
    BeforeValidator(_as_entries("zone"), json_schema_input_type=MeterId | tuple[PlaceEntry, ...]),
]
Tenants = Annotated[
    tuple[TenantEntry, ...],
    BeforeValidator(_as_entries("tenant"), json_schema_input_type=MeterId | tuple[TenantEntry, ...]),
]
Gateways = Annotated[
    tuple[GatewayEntry, ...],
    BeforeValidator(_as_entries("gateway"), json_schema_input_type=GatewayId | tuple[GatewayEntry, ...]),
]
Feeders = Annotated[
    tuple[FeederEntry, ...],
    BeforeValidator(_as_entries("fed_by"), json_schema_input_type=MeterId | tuple[FeederEntry, ...]),
]
Numbers = Annotated[
    tuple[NumberEntry, ...],
    BeforeValidator(_as_entries("value"), json_schema_input_type=float | tuple[NumberEntry, ...]),
]


class GroupEntry(Model):
    """A zone, building or tenant."""

    name: str = Field(description="As people call it")
    area_m2: Numbers = Field(default=(), description="Gross area in m2")
    people: Numbers = Field(default=(), description="People who work there, full-time equivalents")
    output: Numbers = Field(default=(), description="What is made there, a month, in a unit of your own")


class BuildingEntry(GroupEntry):
    """A building and its zone."""

    zone: MeterId = Field(description="Id of its zone")


class MeterEntry(Model):
    """A measuring point."""

    name: str | None = Field(default=None, description="As people call it; default: its id")
    medium: Medium = Field(description="What flows through it")
    role: Role = Field(default=Role.USE, description="What the flow is for; decides its part in zone use")
    place: Places = Field(default=(), description="Zone, and perhaps building; none: unassigned")
    tenant: Tenants = Field(default=(), description="Who uses what it measures")
    gateway: Gateways = Field(
        default=(), description="Who may deliver its rows; none: the first gateway that announced it"
    )
    fed_by: Feeders = Field(default=(), description="Meter directly upstream; none: fed from outside")
    fuse_a: float | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="Electricity: rating of its fuse or breaker, A per phase; bounds what it can count",
    )


class QuantityEntry(Model):
    """A quantity that the park declares besides the product's."""

    unit: Unit = Field(description="Unit of every value")
    kind: Kind = Field(description="gauge: a value at an instant; counter: only ever rises")
    media: tuple[Medium, ...] = Field(min_length=1, description="Media in which it makes sense")
    low: float = Field(description="Lowest plausible value")
    high: float = Field(description="Highest plausible value")
    max_rise_per_h: int | None = Field(
        default=None, ge=1, description="Counters: largest rise within an hour; default: without limit"
    )


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # "Europe" is a folder
        raise ValueError(f"unknown time zone {name!r}{did_you_mean(name, available_timezones())}") from error
    return name


TimeZoneName = Annotated[str, AfterValidator(_known_zone)]


class ParkDescription(Model):
    """A park description file."""

    park: ParkId = Field(description="Id: lower-case letters, digits, hyphens; at most 32")
    name: str = Field(description="As people call it")
    timezone: TimeZoneName = Field(description="IANA name, such as Europe/Ljubljana")
    zones: Mapping[MeterId, GroupEntry] = Field(description="Zones by id")
    buildings: Mapping[MeterId, BuildingEntry] = Field(default_factory=dict, description="Buildings by id")
    tenants: Mapping[MeterId, GroupEntry] = Field(default_factory=dict, description="Tenants by id")
    quantities: Mapping[QuantityName, QuantityEntry] = Field(
        default_factory=dict, description="Quantities besides the product's, by name"
    )
    meters: Mapping[MeterId, MeterEntry] = Field(description="Measuring points by id")

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield unknown groups and feeders, overlapping spans, loops and bad quantities."""
        rules = (self._building_problems(), self._quantities(), self._meters(), self._loops())
        for rule in rules:
            yield from while_known(rule)

    def _building_problems(self) -> Iterator[tuple[Location, str]]:
        for name, building in self.buildings.items():
            if building.knows("zone"):
                yield from _unknown(("buildings", name, "zone"), "zone", building.zone, self.zones)

    def _quantities(self) -> Iterator[tuple[Location, str]]:
        for name, quantity in self.quantities.items():
            yield from while_known(_quantity_problems(name, quantity))

    def _meters(self) -> Iterator[tuple[Location, str]]:
        for meter, entry in self.meters.items():
            here: Location = ("meters", meter)
            for rule in (
                self._place_problems(here, entry),
                self._tenant_problems(here, entry),
                self._fuse_problems(here, entry),
                self._feeders(here, entry),
                self._span_problems(here, entry),
            ):
                yield from while_known(rule)

    def _place_problems(self, here: Location, entry: MeterEntry) -> Iterator[tuple[Location, str]]:
        for i, place in enumerate(entry.place):
            if place.knows("zone"):
                yield from _unknown((*here, "place", i, "zone"), "zone", place.zone, self.zones)
            if place.knows("building") and place.building is not None:
                there = (*here, "place", i, "building")
                yield from _unknown(there, "building", place.building, self.buildings)

    def _tenant_problems(self, here: Location, entry: MeterEntry) -> Iterator[tuple[Location, str]]:
        for i, one in enumerate(entry.tenant):
            if one.knows("tenant"):
                yield from _unknown((*here, "tenant", i, "tenant"), "tenant", one.tenant, self.tenants)

    def _fuse_problems(self, here: Location, entry: MeterEntry) -> Iterator[tuple[Location, str]]:
        if entry.fuse_a is not None and entry.medium is not Medium.ELECTRICITY:
            yield (*here, "fuse_a"), f"fuse_a means nothing for a meter of {entry.medium}"

    def _feeders(self, here: Location, entry: MeterEntry) -> Iterator[tuple[Location, str]]:
        for i, one in enumerate(entry.fed_by):
            if one.knows("fed_by"):
                there = (*here, "fed_by", i, "fed_by")
                yield from while_known(self._feeder_problems(there, entry, one.fed_by))

    def _span_problems(self, here: Location, entry: MeterEntry) -> Iterator[tuple[Location, str]]:
        zone = ZoneInfo(self.timezone)
        for key in ("place", "tenant", "gateway", "fed_by"):
            if entry.knows(key):
                yield from while_known(_overlaps((*here, key), getattr(entry, key), zone))

    def _feeder_problems(
        self, here: Location, fed: MeterEntry, feeder: str
    ) -> Iterator[tuple[Location, str]]:
        yield from _unknown(here, "meter", feeder, self.meters)
        if feeder in self.meters and self.meters[feeder].medium is not fed.medium:
            yield here, f"{feeder!r} measures {self.meters[feeder].medium}, not {fed.medium}"

    def _loops(self) -> Iterator[tuple[Location, str]]:
        """Yield meters that feed themselves at any time, directly or through others."""
        feeders = dict(self._known_feeders(ZoneInfo(self.timezone)))
        instants = {BEGINNING_MS, *(t for relation in feeders.values() for t in relation.changes_ms())}
        for meter in feeders:
            if any(_feeds_itself(meter, feeders, instant) for instant in instants):
                yield ("meters", meter, "fed_by"), f"{meter!r} is fed by itself, directly or over others"

    def _known_feeders(self, zone: ZoneInfo) -> Iterator[tuple[str, Dated[str]]]:
        for meter, entry in self.meters.items():
            # Wrong values, overlapping and backward spans are reported in their place already.
            with suppress(NotKnown, ValueError):
                yield meter, dated(entry.fed_by, lambda one: one.fed_by, zone)


def _feeds_itself(meter: str, feeders: Mapping[str, Dated[str]], instant_ms: int) -> bool:
    maybe_feeder = feeders[meter].maybe_at(instant_ms)
    for _ in feeders:
        if maybe_feeder is None or maybe_feeder not in feeders:
            return False
        if maybe_feeder == meter:
            return True
        maybe_feeder = feeders[maybe_feeder].maybe_at(instant_ms)
    return False


def _unknown(
    here: Location, what: str, name: str, known: Mapping[str, object]
) -> Iterator[tuple[Location, str]]:
    if name not in known:
        yield here, f"unknown {what} {name!r}{did_you_mean(name, known)}"


def _overlaps(
    here: Location, entries: tuple[DatedEntry, ...], zone: ZoneInfo
) -> Iterator[tuple[Location, str]]:
    try:
        dated(entries, lambda _: here[-1], zone)
    except ValueError as error:
        yield here, f"spans of time do not fit: {error}"


def _quantity_problems(name: str, entry: QuantityEntry) -> Iterator[tuple[Location, str]]:
    if name in VOCABULARY:
        yield ("quantities", name), f"{name!r} is one of the product's own quantities"
        return
    try:
        quantity(name, entry)
    except ValueError as error:
        yield ("quantities", name), str(error)


AnyEntry = TypeVar("AnyEntry", bound=DatedEntry)


def dated(entries: tuple[AnyEntry, ...], value: Callable[[AnyEntry], T], zone: ZoneInfo) -> Dated[T]:
    """Return the relation of dated entries.

    Raises:
        ValueError: when two overlap or one ends before it begins.
    """
    return in_order(
        Span(
            value(entry),
            BEGINNING_MS if entry.valid_from is None else to_ms(entry.valid_from, zone),
            END_MS if entry.valid_to is None else to_ms(entry.valid_to, zone),
        )
        for entry in entries
    )


def quantity(name: str, entry: QuantityEntry) -> Quantity:
    """Return a declared quantity.

    Raises:
        ValueError: when its range or kind does not fit.
    """
    return Quantity(
        name,
        entry.unit,
        entry.kind,
        frozenset(entry.media),
        entry.low,
        entry.high,
        entry.max_rise_per_h,
    )
