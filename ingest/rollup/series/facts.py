"""How a park's meters count, by what their gateways announced.

The newest announcement by the gateway that owns a meter (`ingest.validation.owners`) holds for all of its
readings; those of other gateways count only while the owner has announced nothing. Where the owner at the
time announces another serial number, profile or transformer than before, the device was exchanged: a *joint*,
over which reads are never subtracted. A serial number that could not be read is no change.
"""

import logging
import math
from collections import ChainMap, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from ingest.intervals.counters import MIN_RETURN_MS, CounterRules
from ingest.store.contract import Store
from ingest.validation.announcements import Announcement
from ingest.validation.owners import first_announcers, maybe_owners
from ingest.validation.stored_registry import read_announcements
from metering.messages.birth import CounterFacts, MeterFacts
from metering.park.dated import Dated
from metering.park.model import Park

_LOGGER = logging.getLogger(__name__)

_GRACE_MS = 60_000
#: A meter that nobody has announced: its readings came by another way.
_UNKNOWN_POLL_MS = 60_000


@dataclass(frozen=True, slots=True)
class Joint:
    """Another device at a measuring point.

    Attributes:
        at_ms: Since when, UTC; a read at this time is its own.
        change: What is another than before, for a person.
    """

    at_ms: int
    change: str


@dataclass(frozen=True, slots=True)
class Counting:
    """How a meter counts.

    Attributes:
        poll_ms: Time between two reads.
        counters: Rules per counter that its model has.
        gateway: Who announced it first; `None` = nobody.
        joints: Exchanges of its device, in the order of time.
        ct_primary_a: Rated primary current of its transformers, A; `None` = it has none.
        vt_primary_v: Rated primary voltage of its transformers, V; `None` = it has none.
    """

    poll_ms: int = _UNKNOWN_POLL_MS
    counters: Mapping[str, CounterRules] = field(default_factory=dict)
    gateway: str | None = None
    joints: tuple[Joint, ...] = ()
    ct_primary_a: float | None = None
    vt_primary_v: float | None = None

    @property
    def grace_ms(self) -> int:
        """So long after its end a slot waits for the read that bounds it."""
        return 2 * self.poll_ms + _GRACE_MS

    @property
    def return_ms(self) -> int:
        """So long a dip or spike may last; whether a read older than that is accepted is final."""
        return _return_ms(self.poll_ms)

    def rules(self, quantity: str) -> CounterRules:
        """Return the rules of a counter; one that was not announced has steps of 1 and no modulus."""
        return self.counters.get(quantity) or CounterRules(return_ms=self.return_ms)


UNKNOWN = Counting()


def _return_ms(poll_ms: int) -> int:
    return max(MIN_RETURN_MS, 2 * poll_ms)


@dataclass(frozen=True, slots=True)
class _Announced:
    """What a gateway announced about a meter, as far as counting goes."""

    time_ms: int
    gateway: str
    counting: Counting
    identity: Mapping[str, str]
    since_ms: int


def read_facts(store: Store, park: Park) -> dict[str, Counting]:
    """Read what is known of a park's meters.

    Raises:
        StoreError: when the store cannot be read.
    """
    stored = list(read_announcements(store, park.id))
    announcers = first_announcers(stored)
    announced: dict[str, list[_Announced]] = defaultdict(list)
    for one in stored:
        try:
            announced[one.meter].append(_announced(one))
        except (OverflowError, ValueError) as error:
            _LOGGER.warning("%s: facts of %s cannot be used, skipped: %s", park.id, one.meter, error)
    return {
        meter: _decisive(some, maybe_owners(park, meter, announcers.get(meter)), announcers.get(meter))
        for meter, some in announced.items()
        if some
    }


def _decisive(
    announced: Sequence[_Announced], owners: Dated[str] | None, maybe_announcer: str | None
) -> Counting:
    """Return how a meter counts by the newest announcement of its last owner that announced anything."""
    ranks = {} if owners is None else {gateway: rank for rank, gateway in enumerate(owners.values)}
    newest = max(announced, key=lambda one: (ranks.get(one.gateway, -1), one.time_ms))
    joints = tuple(_joints(_identities(_in_order(announced), owners)))
    return replace(newest.counting, gateway=maybe_announcer, joints=joints)


def _identities(
    announced: Sequence[_Announced], owners: Dated[str] | None
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield what the owners (else all gateways) announced about the device, and since when it holds."""
    if owners is None:
        yield from ((one.since_ms, one.identity) for one in announced)
        return
    for span in owners.spans:
        its = [one for one in announced if one.gateway == span.value and one.since_ms < span.to_ms]
        before = [one.identity for one in its if one.since_ms <= span.from_ms]
        if before:  # what it found earlier it may have found at another device
            yield span.from_ms, dict(ChainMap(*map(dict, reversed(before))))
        yield from ((one.since_ms, one.identity) for one in its if one.since_ms > span.from_ms)


def _in_order(announced: Iterable[_Announced]) -> list[_Announced]:
    return sorted(announced, key=attrgetter("since_ms", "time_ms"))


def _joints(identities: Iterable[tuple[int, Mapping[str, str]]]) -> Iterator[Joint]:
    known: dict[str, str] = {}
    for at_ms, identity in identities:
        changes = [
            f"{name} {known[name]} -> {value}"
            for name, value in identity.items()
            if known.get(name, value) != value
        ]
        if changes:
            yield Joint(at_ms, ", ".join(changes))
        known.update(identity)


def _announced(one: Announcement) -> _Announced:
    since_ms = one.time_ms if one.facts.since_ms is None else min(one.facts.since_ms, one.time_ms)
    return _Announced(one.time_ms, one.gateway, _counting(one.facts), _identity(one.facts), since_ms)


def _identity(facts: MeterFacts) -> dict[str, str]:
    """Return what names a device and its transformers; what is not known has no key."""
    named = {
        "serial number": facts.serial,
        "profile": facts.profile,
        "current transformer (A)": facts.ct_primary_a,
        "voltage transformer (V)": facts.vt_primary_v,
    }
    return {name: str(value) for name, value in named.items() if value is not None}


def _counting(facts: MeterFacts) -> Counting:
    poll_ms = max(1, round(facts.poll_s * 1000))
    return Counting(
        poll_ms,
        {name: _rules(one, poll_ms) for name, one in facts.counters.items()},
        ct_primary_a=facts.ct_primary_a,
        vt_primary_v=facts.vt_primary_v,
    )


def _rules(one: CounterFacts, poll_ms: int) -> CounterRules:
    """Counters are rounded to whole units, so a step is never below 1."""
    modulus = None if one.modulus is None else round(one.modulus)
    return CounterRules(max(1, math.ceil(one.step)), modulus, _return_ms(poll_ms))
