"""Which meters belong where: the points of `member`, from which dashboards list a zone's meters. Pure.

A meter that delivers is a member of its zone, building and tenant, and of the gateway that owns it
(`ingest.validation.owners`). One that the park does not know is *unassigned*, under the id of the gateway
that announced it first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ingest.intervals.zone_use import belongs
from ingest.store.line_protocol import encode_point
from ingest.validation.owners import maybe_owners
from metering.park.model import Park
from metering.series import MEMBER, Level, MemberLevel

_LEVELS = {
    Level.ZONE: MemberLevel.ZONE,
    Level.BUILDING: MemberLevel.BUILDING,
    Level.TENANT: MemberLevel.TENANT,
}
#: Group of an unassigned meter that no gateway has announced.
_NOBODY = "unannounced"


@dataclass(frozen=True, slots=True)
class Membership:
    """A meter's belonging to a group."""

    level: MemberLevel
    group: str


def memberships(park: Park, meter: str, instant_ms: int, *, announced_by: str | None) -> Iterator[Membership]:
    """Yield the groups of a meter that delivers, at an instant."""
    maybe_known = park.meters.get(meter)
    if maybe_known is None:
        yield Membership(MemberLevel.UNASSIGNED, announced_by or _NOBODY)
    else:
        for level, member_level in _LEVELS.items():
            maybe_group = belongs(maybe_known, level, instant_ms, park=park.id)
            if maybe_group is not None:
                yield Membership(member_level, maybe_group)
    maybe_dated = maybe_owners(park, meter, announced_by)
    maybe_gateway = None if maybe_dated is None else maybe_dated.maybe_at(instant_ms)
    if maybe_gateway is not None:
        yield Membership(MemberLevel.GATEWAY, maybe_gateway)


class MemberLines:
    """Lines of `member`, their texts made once per stretch of time without a change of relations."""

    def __init__(self, park: Park, announced_by: Mapping[str, str | None]) -> None:
        self._park = park
        self._announced_by = announced_by
        self._heads: dict[tuple[str, int], tuple[bytes, ...]] = {}

    def lines(self, meter: str, slot_ms: int, *, stretch: int) -> Iterator[bytes]:
        """Yield a meter's lines of a slot; `stretch` numbers the stretches."""
        key = (meter, stretch)
        if key not in self._heads:
            self._heads[key] = tuple(self._make_heads(meter, slot_ms))
        return (b"%b%d" % (head, slot_ms) for head in self._heads[key])

    def _make_heads(self, meter: str, slot_ms: int) -> Iterator[bytes]:
        announced_by = self._announced_by.get(meter)
        for one in memberships(self._park, meter, slot_ms, announced_by=announced_by):
            tags = (("group", one.group), ("level", one.level), ("meter", meter), ("park", self._park.id))
            yield encode_point(MEMBER, tags, {"id": meter}, 0).removesuffix(b"0")
