"""All measurements, in the order in which they run: the quick ones first."""

from tests.bench import decode_speed, ingest_rate, message_speed, outbox_speed
from tests.bench.figure import Bench, Unmeasured

SUITE: tuple[Bench, ...] = (
    decode_speed.BENCH,
    message_speed.BENCH,
    outbox_speed.BENCH,
    ingest_rate.BENCH,
)

#: What DESIGN 8 asks for beyond this stage.
UNMEASURED: tuple[Unmeasured, ...] = (
    Unmeasured(
        "Rollup of 5,000 meters",
        "<= 10 % of one core",
        "the full interval engine is a later issue; the cost of a live cycle above is per meter",
    ),
)
