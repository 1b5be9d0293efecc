"""Which gateway may deliver a meter's rows, and what changes with each birth. Pure.

Rows of a meter are accepted from its owner at the row's time (`ingest.validation.owners`), and from any
gateway while it has no owner.

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

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from operator import attrgetter

from ingest.validation.announcements import Announcement
from ingest.validation.owners import first_announcers, maybe_owners
from ingest.validation.rows import RowReason
from metering.errors import MalformedMessage
from metering.messages.birth import MAX_METERS, Birth
from metering.names import is_meter_id
from metering.park.dated import Dated, always
from metering.park.model import Park

#: Ids unknown to the park that one gateway may bring.
MAX_UNKNOWN = 1000
#: Points of `meters` that the births of one gateway may bring in a day of receipt.
MAX_CHANGES_A_DAY = 5 * MAX_METERS
#: Reason of a birth beyond that.
TOO_MANY_CHANGES = "too_many_changes"
_DAY_MS = 86_400_000


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
        announced = sorted(announced, key=attrgetter("time_ms"))
        self._announcers = first_announcers(announced)
        self._histories: dict[tuple[str, str], list[Announcement]] = defaultdict(list)
        self._unknown: dict[str, set[str]] = defaultdict(set)
        self._stored_meters = frozenset(stored_meters)
        self._changes_of_day: dict[str, tuple[int, int]] = {}
        # Per gateway and medium, the span of time of each meter that was found to be its own: the fast way.
        self._spans: dict[tuple[str, str | None], dict[str, tuple[int, int]]] = defaultdict(dict)
        for one in announced:
            self._take(one)

    def _take(self, one: Announcement) -> None:
        insort(self._histories[one.gateway, one.meter], one, key=attrgetter("time_ms"))
        if one.meter not in self._park.meters:
            self._unknown[one.gateway].add(one.meter)

    def change_park(self, park: Park) -> None:
        """Use another edition of the park's description."""
        self._park = park
        self._spans.clear()
        for unknown in self._unknown.values():
            unknown.difference_update(park.meters)

    def maybe_refusal(
        self, gateway: str, meter: str, taken_at_ms: int, medium: str | None = None
    ) -> RowReason | None:
        """Return why a gateway may not deliver a meter's row of an instant; `None` = it may.

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
        owners = maybe_owners(self._park, meter, self._announcers.get(meter)) or always(gateway)
        maybe_owned = _maybe_span(owners, gateway, taken_at_ms)
        if maybe_owned is None:
            return RowReason.FOREIGN_METER
        maybe_reason = self._maybe_wrong(gateway, meter, medium)
        if maybe_reason is None:
            self._spans[gateway, medium][meter] = maybe_owned
        return maybe_reason

    def _maybe_wrong(self, gateway: str, meter: str, medium: str | None) -> RowReason | None:
        """Return what is wrong with a row although its gateway may deliver the meter."""
        media = self._media(meter)
        if medium is not None and media and medium not in media:
            return RowReason.WRONG_MEDIUM
        return None if meter in self._park.meters else self._admit_unknown(gateway, meter)

    def _media(self, meter: str) -> Collection[str]:
        """Return the media that a meter may have; empty when none is known."""
        maybe_meter = self._park.meters.get(meter)
        if maybe_meter is not None:
            return (maybe_meter.medium,)
        announced = self._histories.get((self._announcers.get(meter, ""), meter), ())
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
        """Take over a birth and return what is new in it: the points to write.

        Raises:
            MalformedMessage: *too_many_changes*; then nothing of it is taken over.
        """
        changes = tuple(self._changes(birth))
        self._count_changes(birth.gateway, received_at_ms // _DAY_MS, len(changes))
        for change in changes:
            self._forget_spans(change.meter)
            self._take(change)
            if change.is_first:
                self._announcers[change.meter] = change.gateway
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
            yield Announcement(
                birth.gateway, meter, birth.time_ms, facts, is_first=meter not in self._announcers
            )

    def _forget_spans(self, meter: str) -> None:
        for spans in self._spans.values():
            spans.pop(meter, None)


def _maybe_span(relation: Dated[str], gateway: str, instant_ms: int) -> tuple[int, int] | None:
    """Return the span around an instant in which the gateway owns the meter."""
    return next(
        (
            (span.from_ms, span.to_ms)
            for span in relation.spans
            if span.value == gateway and span.from_ms <= instant_ms < span.to_ms
        ),
        None,
    )
