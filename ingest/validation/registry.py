"""Who may deliver a meter's rows, and what the gateways say their meters are.

Authority of gateway over meter (DESIGN 3.2):
- A meter with a `gateway` relation in `park.yaml` belongs to whom the relation names at the row's time, and
  to nobody outside its spans.
- Any other meter belongs to the first gateway that announced it in a birth, by order of receipt; that
  announcement's point in `meters` carries `first=1i`, so a restart knows it again.
- A meter that nobody has announced is accepted from anyone.

A meter has one medium: that of `park.yaml`, else those that its owner has announced; rows of another are
refused. Of a meter that neither knows, any medium is accepted.

A meter that the park does not know is accepted all the same, up to `MAX_UNKNOWN` new ids per gateway: no
gateway can fill the database with series.

Births: the facts of a meter are a point in `meters`, at the birth's own time, whenever they differ from those
that held there before. What is stored is a function of the births received, in their order: restarts and
replays give the same points. The births of one gateway bring at most `MAX_CHANGES_A_DAY` points in a day of
receipt, so that no gateway can fill `meters`, which is read at each start; a restart begins that count anew.
Used by one thread at a time.
"""

import logging
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import orjson

from ingest.store.contract import Store
from ingest.store.line_protocol import encode_point
from ingest.validation.rows import RowReason
from metering.errors import MalformedMessage
from metering.messages.birth import MAX_METERS, Birth, MeterFacts, facts_object, parse_facts
from metering.names import is_meter_id
from metering.park.dated import BEGINNING_MS, END_MS, Dated
from metering.park.model import Park
from metering.quantities import Medium
from metering.series import METERS, raw_database

_LOGGER = logging.getLogger(__name__)

#: Ids unknown to the park that one gateway may bring.
MAX_UNKNOWN = 1000
#: Points of `meters` that the births of one gateway may bring in a day of receipt.
MAX_CHANGES_A_DAY = 5 * MAX_METERS
#: Reason of a birth beyond that.
TOO_MANY_CHANGES = "too_many_changes"
_DAY_MS = 86_400_000

_FIRST = "first"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a gateway says of a meter from a time on.

    Attributes:
        time_ms: The birth's own time, UTC.
        is_first: Whether by this the meter became the gateway's.
    """

    gateway: str
    meter: str
    time_ms: int
    facts: MeterFacts
    is_first: bool = False


class Registry:
    """A park's meters and gateways."""

    def __init__(
        self, park: Park, *, announced: Iterable[Announcement] = (), stored_meters: Iterable[str] = ()
    ) -> None:
        """Take over what is known.

        Args:
            park: Who must deliver what, by the park's description.
            announced: Announcements in `meters`, in any order.
            stored_meters: Ids that have series already; they cost no new ones.
        """
        self._park = park
        self._owners: dict[str, str] = {}
        self._histories: dict[tuple[str, str], list[Announcement]] = defaultdict(list)
        self._unknown: dict[str, set[str]] = defaultdict(set)
        self._stored_meters = frozenset(stored_meters)
        self._changes_of_day: dict[str, tuple[int, int]] = {}
        # Per gateway and medium, the span of time of each meter that was found to be its own: the fast way.
        self._spans: dict[tuple[str, str | None], dict[str, tuple[int, int]]] = defaultdict(dict)
        for one in sorted(announced, key=attrgetter("time_ms")):
            self._take(one)

    def _take(self, one: Announcement) -> None:
        insort(self._histories[one.gateway, one.meter], one, key=attrgetter("time_ms"))
        if one.is_first:
            self._owners.setdefault(one.meter, one.gateway)
        if one.meter not in self._park.meters:
            self._unknown[one.gateway].add(one.meter)

    def change_park(self, park: Park) -> None:
        """Go on by another edition of the park's description."""
        self._park = park
        self._spans.clear()
        for unknown in self._unknown.values():
            unknown.difference_update(park.meters)

    def maybe_refusal(
        self, gateway: str, meter: str, taken_at_ms: int, medium: str | None = None
    ) -> RowReason | None:
        """Tell why a gateway may not deliver a meter's row of an instant; `None` = it may.

        Args:
            gateway: Who delivers it.
            meter: Whose it is.
            taken_at_ms: The row's time, UTC.
            medium: The row's medium; `None` = any.
        """
        maybe_span = self._spans[gateway, medium].get(meter)
        if maybe_span is not None and maybe_span[0] <= taken_at_ms < maybe_span[1]:
            return None
        return self._look_up(gateway, meter, taken_at_ms, medium)

    def _look_up(self, gateway: str, meter: str, taken_at_ms: int, medium: str | None) -> RowReason | None:
        maybe_meter = self._park.meters.get(meter)
        span = (BEGINNING_MS, END_MS)
        if maybe_meter is not None and maybe_meter.gateway.spans:
            maybe_held = _maybe_span(maybe_meter.gateway, gateway, taken_at_ms)
            if maybe_held is None:
                return RowReason.FOREIGN_METER
            span = maybe_held
        elif self._owners.get(meter, gateway) != gateway:
            return RowReason.FOREIGN_METER
        maybe_reason = self._maybe_wrong(gateway, meter, medium)
        if maybe_reason is None:
            self._spans[gateway, medium][meter] = span
        return maybe_reason

    def _maybe_wrong(self, gateway: str, meter: str, medium: str | None) -> RowReason | None:
        """Tell what is wrong with a row although its gateway may deliver the meter."""
        media = self._media(meter)
        if medium is not None and media and medium not in media:
            return RowReason.WRONG_MEDIUM
        return None if meter in self._park.meters else self._admit_unknown(gateway, meter)

    def _media(self, meter: str) -> Collection[str]:
        """Return the media that a meter may have; empty when nobody has said."""
        maybe_meter = self._park.meters.get(meter)
        if maybe_meter is not None:
            return (maybe_meter.medium,)
        announced = self._histories.get((self._owners.get(meter, ""), meter), ())
        return {one.facts.medium for one in announced}

    def _admit_unknown(self, gateway: str, meter: str) -> RowReason | None:
        unknown = self._unknown[gateway]
        if meter in unknown or meter in self._stored_meters:
            return None
        if not is_meter_id(meter):
            return RowReason.BAD_ROW
        if len(unknown) >= MAX_UNKNOWN:
            return RowReason.TOO_MANY_METERS
        unknown.add(meter)
        return None

    def announce(self, birth: Birth, received_at_ms: int = 0) -> tuple[Announcement, ...]:
        """Take over a birth and give what is new in it: the points to write.

        Raises:
            MalformedMessage: *too_many_changes*; then nothing of it is taken over.
        """
        changes = tuple(self._changes(birth))
        self._count_changes(birth.gateway, received_at_ms // _DAY_MS, len(changes))
        for change in changes:
            self._forget_spans(change.meter)
            self._take(change)
        return changes

    def _count_changes(self, gateway: str, day: int, number: int) -> None:
        counted_day, counted = self._changes_of_day.get(gateway, (day, 0))
        total = number + (counted if counted_day == day else 0)
        if total > MAX_CHANGES_A_DAY:
            raise MalformedMessage(TOO_MANY_CHANGES, f"more than {MAX_CHANGES_A_DAY} changed meters in a day")
        self._changes_of_day[gateway] = day, total

    def _changes(self, birth: Birth) -> Iterator[Announcement]:
        for meter, facts in birth.meters.items():
            if meter not in self._park.meters and self._admit_unknown(birth.gateway, meter) is not None:
                continue
            history = self._histories[birth.gateway, meter]
            before = bisect_right(history, birth.time_ms, key=attrgetter("time_ms"))
            if before and history[before - 1].facts == facts:
                continue
            yield Announcement(birth.gateway, meter, birth.time_ms, facts, is_first=meter not in self._owners)

    def _forget_spans(self, meter: str) -> None:
        for spans in self._spans.values():
            spans.pop(meter, None)


def _maybe_span(relation: Dated[str], gateway: str, instant_ms: int) -> tuple[int, int] | None:
    """Return the span around an instant in which the gateway holds the meter."""
    return next(
        (
            (span.from_ms, span.to_ms)
            for span in relation.spans
            if span.value == gateway and span.from_ms <= instant_ms < span.to_ms
        ),
        None,
    )


def encode_announcement(park: str, one: Announcement) -> bytes:
    """Return the line of a point in `meters`."""
    facts = facts_object(one.facts)
    fields = {
        "model": one.facts.model,
        "profile": one.facts.profile,
        "medium": str(one.facts.medium),
        "serial": one.facts.serial,
        "poll_s": float(one.facts.poll_s),
        "counters": orjson.dumps(facts["counters"], option=orjson.OPT_SORT_KEYS).decode(),
        "ct_primary_a": one.facts.ct_primary_a,
        "vt_primary_v": one.facts.vt_primary_v,
        "since_ms": one.facts.since_ms,
        _FIRST: 1 if one.is_first else None,
    }
    tags = (("gateway", one.gateway), ("meter", one.meter), ("park", park))
    return encode_point(METERS, tags, fields, one.time_ms)


def load_registry(store: Store, park: Park) -> Registry:
    """Build the registry of a park from what is stored.

    Raises:
        StoreError: when the store cannot say.
    """
    database = raw_database(park.id)
    return Registry(
        park, announced=_read_announcements(store, database), stored_meters=_read_meters(store, database)
    )


def _read_announcements(store: Store, database: str) -> Iterator[Announcement]:
    for series in store.query(database, f'SELECT * FROM "{METERS}" GROUP BY "gateway", "meter"'):
        for row in series.rows:
            try:
                yield _announcement(series.tags, dict(zip(series.columns, row, strict=True)))
            except (KeyError, TypeError, ValueError) as error:
                _LOGGER.warning("%s: a point of %r is not ours, left out: %s", database, METERS, error)


def _announcement(tags: Mapping[str, str], fields: Mapping[str, Any]) -> Announcement:
    return Announcement(
        gateway=tags["gateway"],
        meter=tags["meter"],
        time_ms=fields["time"],
        facts=parse_facts({**fields, "counters": orjson.loads(fields["counters"])}),
        is_first=bool(fields.get(_FIRST)),
    )


def _read_meters(store: Store, database: str) -> Iterator[str]:
    """Ids that have series; InfluxDB has no placeholder for names, but these are a closed list of ours."""
    measurements = ", ".join(f'"{medium}"' for medium in Medium)
    for series in store.query(database, f'SHOW TAG VALUES FROM {measurements} WITH KEY = "meter"'):
        yield from _column(series.columns, series.rows, "value")


def _column(columns: Sequence[str], rows: Sequence[Sequence[Any]], name: str) -> Iterator[str]:
    position = columns.index(name)
    return (row[position] for row in rows)
