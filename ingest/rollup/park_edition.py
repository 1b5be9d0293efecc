"""Editions of a park description: from when on do two of them give other groups? Pure.

A description is edited by hand, often with a date in the past. Groups are derived again from the first
instant at which a meter's group, feeder or part in a sum differs; readings and meters' slots never change by
an edit.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from metering.park.dated import BEGINNING_MS, Dated
from metering.park.model import Park, ParkMeter

#: To be raised when the formulas in `ingest.intervals.zone_use` change, so that groups are derived again.
_FORMULAS = 1


def fingerprint(park: Park) -> str:
    """Return a text that differs whenever the groups of two editions may differ."""
    meaning = repr((_FORMULAS, sorted((meter, repr(facts)) for meter, facts in park.meters.items())))
    return hashlib.sha256(meaning.encode()).hexdigest()


def maybe_changed_from(old: Park, new: Park) -> int | None:
    """Return the first instant from which the groups of two editions may differ; `None` = never."""
    return min(_changes(old, new), default=None)


def _changes(old: Park, new: Park) -> Iterator[int]:
    for meter in old.meters.keys() | new.meters.keys():
        before, after = old.meters.get(meter), new.meters.get(meter)
        if before is None or after is None or (before.medium, before.role) != (after.medium, after.role):
            yield BEGINNING_MS
            continue
        for one, other in zip(_relations(before), _relations(after), strict=True):
            yield from _differences(one, other)


def _relations(meter: ParkMeter) -> tuple[Dated[Any], ...]:
    return (meter.place, meter.tenant, meter.gateway, meter.fed_by)


def _differences(one: Dated[Any], other: Dated[Any]) -> Iterator[int]:
    """Yield the instants at which the values begin to differ; a value holds from one change to the next."""
    if bool(one.spans) is not bool(other.spans):
        yield BEGINNING_MS  # a meter without any place belongs to the park all the same
        return
    for instant_ms in (BEGINNING_MS, *sorted({*one.changes_ms(), *other.changes_ms()})):
        if one.maybe_at(instant_ms) != other.maybe_at(instant_ms):
            yield instant_ms
