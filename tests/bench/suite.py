"""All measurements, in the order in which they run: the quick ones first."""

from tests.bench import (
    bus_use,
    decode_speed,
    ingest_rate,
    live,
    message_speed,
    mute_meters,
    outage,
    outbox_speed,
    rollup_cost,
)
from tests.bench.figure import Bench, Unmeasured

SUITE: tuple[Bench, ...] = (
    decode_speed.BENCH,
    message_speed.BENCH,
    outbox_speed.BENCH,
    bus_use.BENCH,
    mute_meters.BENCH,
    ingest_rate.BENCH,
    live.BENCH,
    outage.BENCH,
    rollup_cost.BENCH,
)

#: What DESIGN 8 asks for beyond this stage.
UNMEASURED: tuple[Unmeasured, ...] = (
    Unmeasured(
        "Rollup of 5,000 meters",
        "<= 10 % of one core",
        "the full interval engine is a later issue; the cost of a live cycle above is per meter",
    ),
)
