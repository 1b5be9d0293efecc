"""What the births say of a park's meters, as far as counting goes.

The newest announcement by the gateway that may deliver a meter holds for all of its readings; what other
gateways say counts only while that one has said nothing. Where those that might deliver it at the time name
another serial number, profile or transformer than before, the device was exchanged: a *joint*, over which
reads are never subtracted. A serial number that could not be read says nothing.
"""

import logging
import math
from collections import ChainMap, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from ingest.intervals.counters import MIN_RETURN_MS, CounterRules
from ingest.store.contract import Store
from metering.messages.birth import CounterFacts, MeterFacts, parse_facts
from metering.park.model import Park, ParkMeter
from metering.series import METERS, raw_database

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
        """So long a dip or spike may last; a read older than that is judged for good."""
        return _return_ms(self.poll_ms)

    def rules(self, quantity: str) -> CounterRules:
        """Return the rules of a counter; one that was not announced has steps of 1 and no modulus."""
        return self.counters.get(quantity) or CounterRules(return_ms=self.return_ms)


UNKNOWN = Counting()


def _return_ms(poll_ms: int) -> int:
    return max(MIN_RETURN_MS, 2 * poll_ms)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a gateway said of a meter at a time."""

    time_ms: int
    gateway: str
    is_first: bool
    counting: Counting
    identity: Mapping[str, str]
    since_ms: int


def read_facts(store: Store, park: Park) -> dict[str, Counting]:
    """Read what is known of a park's meters.

    Raises:
        StoreError: when the store cannot say.
    """
    database = raw_database(park.id)
    told: dict[str, list[_Told]] = defaultdict(list)
    for series in store.query(database, f'SELECT * FROM "{METERS}" GROUP BY "gateway", "meter"'):
        for row in series.rows:
            try:
                one = _told(series.tags["gateway"], dict(zip(series.columns, row, strict=True)))
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                _LOGGER.warning("%s: a point of %r makes no sense, left out: %s", database, METERS, error)
            else:
                told[series.tags["meter"]].append(one)
    return {meter: _decisive(some, park, meter) for meter, some in told.items()}


def _decisive(told: Sequence[_Told], park: Park, meter: str) -> Counting:
    """Choose the newest word of the gateway that may deliver the meter."""
    first = sorted((one for one in told if one.is_first), key=lambda one: one.time_ms)
    maybe_owner = first[0].gateway if first else None
    maybe_meter = park.meters.get(meter)
    related = () if maybe_meter is None else maybe_meter.gateway.values
    # The last of several that held it, if it has said anything.
    ranks = {gateway: rank for rank, gateway in enumerate(related or (maybe_owner,))}
    newest = max(told, key=lambda one: (ranks.get(one.gateway, -1), one.time_ms))
    joints = tuple(_joints(_entitled(told, maybe_meter, maybe_owner)))
    return replace(newest.counting, gateway=maybe_owner, joints=joints)


def _entitled(
    told: Sequence[_Told], maybe_meter: ParkMeter | None, maybe_owner: str | None
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield what the gateways that might deliver the meter said of its device, and from when on it counts."""
    if maybe_meter is None or not maybe_meter.gateway.spans:
        for one in _in_order(one for one in told if maybe_owner in {one.gateway, None}):
            yield one.since_ms, one.identity
        return
    for span in maybe_meter.gateway.spans:
        its = [one for one in _in_order(told) if one.gateway == span.value and one.since_ms < span.to_ms]
        before = [one.identity for one in its if one.since_ms <= span.from_ms]
        if before:  # what it found earlier it may have found at another device
            yield span.from_ms, dict(ChainMap(*map(dict, reversed(before))))
        yield from ((one.since_ms, one.identity) for one in its if one.since_ms > span.from_ms)


def _in_order(told: Iterable[_Told]) -> list[_Told]:
    return sorted(told, key=lambda one: (one.since_ms, one.time_ms))


def _joints(said: Iterable[tuple[int, Mapping[str, str]]]) -> Iterator[Joint]:
    known: dict[str, str] = {}
    for at_ms, identity in said:
        changes = [
            f"{name} {known[name]} -> {value}"
            for name, value in identity.items()
            if known.get(name, value) != value
        ]
        if changes:
            yield Joint(at_ms, ", ".join(changes))
        known.update(identity)


def _told(gateway: str, point: Mapping[str, Any]) -> _Told:
    facts = parse_facts({**point, "counters": orjson.loads(str(point["counters"]))})
    since_ms = point["time"] if facts.since_ms is None else min(facts.since_ms, point["time"])
    return _Told(
        point["time"], gateway, bool(point.get("first")), _counting(facts), _identity(facts), since_ms
    )


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
