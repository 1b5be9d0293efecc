"""What the births say of a park's meters, as far as counting goes.

The newest announcement of a meter holds for all of its readings; a change of profile or serial within them
(an exchanged device) is a later concern and would part the reads before they are unwrapped.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from ingest.counters import SHORTEST_RETURN_MS, CounterRules
from ingest.store import Store
from metering.birth import CounterFacts, parse_facts
from metering.series import METERS, raw_database

_GRACE_MS = 60_000
#: A meter that nobody has announced: its readings came by another way.
_UNKNOWN_POLL_MS = 60_000


@dataclass(frozen=True, slots=True)
class Counting:
    """How a meter counts.

    Attributes:
        poll_ms: Time between two reads.
        counters: Rules per counter that its model has.
        gateway: Who announced it first; `None` = nobody.
    """

    poll_ms: int = _UNKNOWN_POLL_MS
    counters: Mapping[str, CounterRules] = field(default_factory=dict)
    gateway: str | None = None

    @property
    def grace_ms(self) -> int:
        """So long after its end a slot waits for the read that bounds it."""
        return 2 * self.poll_ms + _GRACE_MS

    @property
    def return_ms(self) -> int:
        """So long a dip or spike may last; a read older than that is judged for good."""
        return _return_ms(self.poll_ms)

    def rules(self, quantity: str) -> CounterRules:
        """Give the rules of a counter; one that was not announced has steps of 1 and no modulus."""
        return self.counters.get(quantity) or CounterRules(return_ms=self.return_ms)


UNKNOWN = Counting()


def _return_ms(poll_ms: int) -> int:
    return max(SHORTEST_RETURN_MS, 2 * poll_ms)


def read_facts(store: Store, park: str) -> dict[str, Counting]:
    """Read what is known of a park's meters.

    Raises:
        StoreError: when the store cannot say.
    """
    newest: dict[str, tuple[int, Counting]] = {}
    owners: dict[str, str] = {}
    for series in store.query(raw_database(park), f'SELECT * FROM "{METERS}" GROUP BY "gateway", "meter"'):
        meter, gateway = series.tags["meter"], series.tags["gateway"]
        for row in series.rows:
            point = dict(zip(series.columns, row, strict=True))
            if point.get("first"):
                owners[meter] = gateway
            if meter not in newest or point["time"] > newest[meter][0]:
                newest[meter] = point["time"], _counting(point)
    return {
        meter: Counting(one.poll_ms, one.counters, owners.get(meter)) for meter, (_, one) in newest.items()
    }


def _counting(point: Mapping[str, object]) -> Counting:
    facts = parse_facts({**point, "counters": orjson.loads(str(point["counters"]))})
    poll_ms = max(1, round(facts.poll_s * 1000))
    return Counting(poll_ms, {name: _rules(one, poll_ms) for name, one in facts.counters.items()})


def _rules(one: CounterFacts, poll_ms: int) -> CounterRules:
    """Counters are rounded to whole units, so a step is never below 1."""
    modulus = None if one.modulus is None else round(one.modulus)
    return CounterRules(max(1, math.ceil(one.step)), modulus, _return_ms(poll_ms))
