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
    recovery,
    rollup_cost,
)
from tests.bench.figure import Bench, Unmeasured

SUITE: tuple[Bench, ...] = (
    decode_speed.BENCH,
    message_speed.BENCH,
    outbox_speed.BENCH,
    bus_use.BENCH,
    mute_meters.BENCH,
    recovery.BENCH,
    ingest_rate.BENCH,
    live.BENCH,
    outage.BENCH,
    rollup_cost.BENCH,
)

#: What cannot be measured yet, or not here.
UNMEASURED: tuple[Unmeasured, ...] = (
    Unmeasured(
        "A year of 50 meters with kept boundary counters",
        "<= 15 s",
        "the full interval engine is a later issue; the figure above reads all raw data again",
    ),
    Unmeasured(
        "The gateway on a Raspberry Pi",
        "<= 48 MB RSS, <= 5 % of one core",
        "run `make bench BENCH=live` on one",
    ),
    Unmeasured("InfluxDB 2.x", ">= 250,000 values/s", "Debian has no package of it; see `compose.yaml`"),
)
