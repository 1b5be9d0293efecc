"""The birth (gateway -> ingest, retained): what the gateway's meters are.

Published at connect before the first data, and on change. Ingest keeps each change as a point of `meters`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from metering.errors import MalformedMessage
from metering.messages.data import SCHEMA
from metering.messages.json_body import check_schema, number, parse_json, text, whole
from metering.names import is_epoch, is_gateway_id, is_meter_id
from metering.quantities import Medium

T = TypeVar("T")

#: A week: no meter is polled more rarely, and a slot waits for two periods.
_MAX_POLL_S = 7 * 86_400.0
_MAX_TIME_MS = 2**53
#: Limits of one birth: several times what a large gateway needs.
MAX_BYTES = 256 * 1024
MAX_METERS = 1000
_MAX_COUNTERS = 64
#: The longest text that a meter can return: 125 registers.
_MAX_TEXT = 250


@dataclass(frozen=True, slots=True)
class CounterFacts:
    """How a counter counts.

    Attributes:
        step: Smallest rise, in the quantity's unit; a decrease of up to two steps is jitter.
        modulus: Value at which the register starts again from 0, in the quantity's unit; `None` = unknown.
    """

    step: float
    modulus: float | None

    def __post_init__(self) -> None:
        if not 0 < self.step < math.inf:
            raise ValueError(f"step {self.step} is not a positive number")
        if self.modulus is not None and not 1 <= self.modulus < math.inf:
            raise ValueError(f"modulus {self.modulus} is not a number from 1 on")


@dataclass(frozen=True, slots=True)
class MeterFacts:
    """What a gateway knows of one meter.

    Attributes:
        model: Catalogue id (`eastron-sdm630`).
        profile: Hash of the catalogue's table with the gateway's overrides.
        medium: What flows.
        poll_s: Poll period in seconds.
        serial: Serial number if it could be read.
        counters: Facts per counter quantity.
        ct_primary_a: Rated primary current of its current transformers, A; `None` = it has none.
        vt_primary_v: Rated primary voltage of its voltage transformers, V; `None` = it has none.
        since_ms: Since when this device was there, UTC; `None` = since the birth. No property of the device:
            facts that differ only in it are equal.
    """

    model: str
    profile: str
    medium: Medium
    poll_s: float
    serial: str | None = None
    counters: Mapping[str, CounterFacts] = field(default_factory=dict)
    ct_primary_a: float | None = None
    vt_primary_v: float | None = None
    since_ms: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for rating in (self.ct_primary_a, self.vt_primary_v):
            if rating is not None and not 0 < rating < math.inf:
                raise ValueError(f"a transformer's rating of {rating} is not a positive number")
        if self.since_ms is not None and not 0 <= self.since_ms <= _MAX_TIME_MS:
            raise ValueError(f"{self.since_ms} ms is no time")
        if not 0 < self.poll_s <= _MAX_POLL_S:
            raise ValueError(f"poll period {self.poll_s} s is not above 0 and at most a week")
        texts = (self.model, self.profile, self.serial or "", *self.counters)
        if max(len(one) for one in texts) > _MAX_TEXT:
            raise ValueError(f"a text is longer than {_MAX_TEXT} characters")
        if len(self.counters) > _MAX_COUNTERS:
            raise ValueError(f"{len(self.counters)} counters, more than {_MAX_COUNTERS}")


@dataclass(frozen=True, slots=True)
class Birth:
    """A gateway's self-description; `time_ms` is when it was made, UTC."""

    gateway: str
    epoch: str
    time_ms: int
    software: str
    meters: Mapping[str, MeterFacts]

    def __post_init__(self) -> None:
        if not is_gateway_id(self.gateway) or not is_epoch(self.epoch):
            raise ValueError(f"birth of {self.gateway!r}, epoch {self.epoch!r}: not ids")
        bad = [meter for meter in self.meters if not is_meter_id(meter)]
        if bad:
            raise ValueError(f"birth of {self.gateway}: {bad[:3]!r} are not meter ids")


def encode(birth: Birth) -> bytes:
    """Return the JSON body."""
    return orjson.dumps(
        {
            "schema": SCHEMA,
            "gateway": birth.gateway,
            "epoch": birth.epoch,
            "time_ms": birth.time_ms,
            "software": birth.software,
            "meters": {meter: facts_object(facts) for meter, facts in birth.meters.items()},
        }
    )


def facts_object(facts: MeterFacts) -> dict[str, Any]:
    """Return one meter's facts as a JSON object; what is not known and optional is left out."""
    optional = {
        "ct_primary_a": facts.ct_primary_a,
        "vt_primary_v": facts.vt_primary_v,
        "since_ms": facts.since_ms,
    }
    return {
        "model": facts.model,
        "profile": facts.profile,
        "medium": facts.medium,
        "poll_s": facts.poll_s,
        "serial": facts.serial,
        "counters": {q: {"step": c.step, "modulus": c.modulus} for q, c in facts.counters.items()},
        **{name: value for name, value in optional.items() if value is not None},
    }


def decode(body: bytes) -> Birth:
    """Read the JSON body.

    Raises:
        MalformedMessage: when it is not a birth of schema 1.
    """
    if len(body) > MAX_BYTES:
        raise MalformedMessage("too_large", f"birth of {len(body)} bytes")
    parsed = parse_json(body)
    check_schema(parsed, SCHEMA, "birth")
    try:
        return Birth(
            gateway=text(parsed["gateway"]),
            epoch=text(parsed["epoch"]),
            time_ms=whole(parsed["time_ms"]),
            software=text(parsed["software"]),
            meters=_meters(parsed["meters"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise MalformedMessage("bad_envelope", f"birth: {error}") from error


def _meters(parsed: Mapping[str, Any]) -> Mapping[str, MeterFacts]:
    if len(parsed) > MAX_METERS:
        raise ValueError(f"{len(parsed)} meters, more than {MAX_METERS}")
    return {meter: parse_facts(facts) for meter, facts in parsed.items()}


def parse_facts(parsed: Mapping[str, Any]) -> MeterFacts:
    """Read one meter's facts from their JSON object.

    Raises:
        KeyError, TypeError, ValueError: for a missing key or a value of the wrong type.
    """
    serial = parsed.get("serial")
    return MeterFacts(
        model=text(parsed["model"]),
        profile=text(parsed["profile"]),
        medium=Medium(parsed["medium"]),
        poll_s=number(parsed["poll_s"]),
        serial=None if serial is None else text(serial),
        counters={
            quantity: CounterFacts(
                step=number(counter["step"]),
                modulus=None if counter["modulus"] is None else number(counter["modulus"]),
            )
            for quantity, counter in parsed["counters"].items()
        },
        ct_primary_a=_maybe(float, parsed.get("ct_primary_a")),
        vt_primary_v=_maybe(float, parsed.get("vt_primary_v")),
        since_ms=_maybe(int, parsed.get("since_ms")),
    )


def _maybe(read: Callable[[Any], T], found: object) -> T | None:
    return None if found is None else read(found)
