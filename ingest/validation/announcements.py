"""What gateways state about their meters in births, and the points of the series `meters`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ingest.store.line_protocol import encode_point
from metering.messages.birth import MeterFacts, facts_object, parse_facts
from metering.series import METERS

_FIRST = "first"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a gateway states about a meter from a time on.

    Attributes:
        time_ms: The birth's own time, UTC.
        is_first: Whether nobody had announced the meter before.
    """

    gateway: str
    meter: str
    time_ms: int
    facts: MeterFacts
    is_first: bool = False


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


def decode_announcement(tags: Mapping[str, str], point: Mapping[str, Any]) -> Announcement:
    """Return the announcement of a point in `meters`.

    Raises:
        AttributeError, KeyError, OverflowError, TypeError, ValueError: when it is no such point.
    """
    return Announcement(
        gateway=tags["gateway"],
        meter=tags["meter"],
        time_ms=point["time"],
        facts=parse_facts({**point, "counters": orjson.loads(str(point["counters"]))}),
        is_first=bool(point.get(_FIRST)),
    )
