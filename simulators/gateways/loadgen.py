"""A load generator: many gateways with many meters, as fast as ingest acknowledges or at a given rate.

Gateways and meters are made up (`load-1`, `load-1-m1`, …) and announced by births, so that ingest accepts
their rows for a park that does not know them. Values only have to be plausible. The whole way
is measured: a row counts when ingest has acknowledged it as stored.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from metering.messages.birth import Birth, CounterFacts, MeterFacts
from metering.messages.data import MAX_ROWS
from metering.messages.status import EpochAccount
from metering.program.connection import Broker
from metering.quantities import VOCABULARY, Medium
from metering.readings import EARLIEST_MS, Row, RowBlock, Value
from simulators.gateways.courier import Courier, Route, courier
from simulators.park.park import wall_ms

_ELECTRICITY = tuple(name for name, one in VOCABULARY.items() if Medium.ELECTRICITY in one.media)
_DAY_MS = 86_400_000
_SOFTWARE = "zonewise-sim load (simulated)"


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to generate.

    Attributes:
        park: A park that ingest has.
        broker: Where messages go.
        folder: Where outboxes may write.
        gateways: How many.
        meters: How many per gateway.
        quantities: How many per meter, at most what electricity has.
        seconds: How long.
        period_s: Time between two rows of a meter; 0 = as fast as possible.
    """

    park: str
    broker: Broker
    folder: Path
    gateways: int
    meters: int
    quantities: int
    seconds: float
    period_s: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities of each meter, counters among them."""
        wanted = ("energy_import_wh", "active_power_w", *_ELECTRICITY)
        return tuple(islice(dict.fromkeys(wanted), self.quantities))


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of a run.

    Attributes:
        accounts: Per gateway.
        values: Values in the rows that were stored.
        elapsed_s: From the first message to the last acknowledgement.
        ack_times_s: From `send` to the acknowledgement of each message, ascending.
    """

    accounts: tuple[EpochAccount, ...]
    values: int
    elapsed_s: float
    ack_times_s: tuple[float, ...]

    @property
    def stored(self) -> int:
        """Rows that ingest has stored."""
        return sum(account.stored for account in self.accounts)

    @property
    def values_per_s(self) -> float:
        """Stored values per second."""
        return self.values / self.elapsed_s if self.elapsed_s else 0.0

    def ack_time_s(self, part: float) -> float:
        """Return the time within which this part of the messages was acknowledged."""
        if not self.ack_times_s:
            return 0.0
        return self.ack_times_s[min(len(self.ack_times_s) - 1, int(part * len(self.ack_times_s)))]


async def generate_load(plan: LoadPlan) -> LoadResult:
    """Generate load, and wait until all of it is acknowledged.

    Raises:
        DeliveryFailed: when nothing is acknowledged any more (in an exception group).
    """
    async with AsyncExitStack() as stack:
        couriers: list[Courier] = []
        for number in range(1, plan.gateways + 1):
            route = Route(plan.park, f"load-{number}", plan.broker, "load", plan.folder)
            couriers.append(await stack.enter_async_context(courier(route)))
            couriers[-1].announce(_birth(plan, route.gateway, couriers[-1].epoch))
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number, one in enumerate(couriers, 1):
                tasks.create_task(_feed(plan, one, f"load-{number}"), name=f"load-{number}")
        elapsed_s = time.monotonic() - began_s
        accounts = tuple(one.account for one in couriers)
        times = sorted(seconds for one in couriers for seconds in one.ack_times_s)
        values = len(plan.names) * sum(account.stored for account in accounts)
        return LoadResult(accounts, values, elapsed_s, tuple(times))


async def _feed(plan: LoadPlan, one: Courier, gateway: str) -> None:
    meters = _meters(plan, gateway)
    began_s, began_ms = time.monotonic(), wall_ms()
    turns = 1 if plan.period_s else max(1, MAX_ROWS // len(meters))
    for batch in count():
        await asyncio.sleep(max(0.0, began_s + batch * plan.period_s - time.monotonic()))
        if time.monotonic() - began_s >= plan.seconds:
            break
        # Without a period there are more rows than ms, so times start a day ago, one ms per row.
        first_ms = wall_ms() if plan.period_s else began_ms - _DAY_MS + batch * turns
        for block in _blocks(plan, meters, range(first_ms, first_ms + turns)):
            await one.send(block)
    await one.drain()


def _blocks(plan: LoadPlan, meters: Sequence[str], instants: range) -> Iterator[RowBlock]:
    rows = [Row(meter, instant, 0, _values(plan, instant)) for instant in instants for meter in meters]
    for at in range(0, len(rows), MAX_ROWS):
        yield RowBlock(Medium.ELECTRICITY, plan.names, tuple(rows[at : at + MAX_ROWS]))


def _values(plan: LoadPlan, instant_ms: int) -> tuple[Value, ...]:
    """Return plausible values: rising counters, and gauges in the middle of their range."""
    made: list[Value] = []
    for name in plan.names:
        quantity = VOCABULARY[name]
        if quantity.is_counter:
            made.append(instant_ms - EARLIEST_MS)
        else:
            made.append(quantity.low + (quantity.high - quantity.low) * (0.5 + (instant_ms % 997) / 9970))
    return tuple(made)


def _meters(plan: LoadPlan, gateway: str) -> tuple[str, ...]:
    return tuple(f"{gateway}-m{number}" for number in range(1, plan.meters + 1))


def _birth(plan: LoadPlan, gateway: str, epoch: str) -> Birth:
    counters = {
        name: CounterFacts(step=1.0, modulus=None) for name in plan.names if VOCABULARY[name].is_counter
    }
    facts = MeterFacts("simulated", "simulated", Medium.ELECTRICITY, plan.period_s or 1.0, "SIM", counters)
    meters = dict.fromkeys(_meters(plan, gateway), facts)
    return Birth(gateway, epoch, wall_ms(), _SOFTWARE, meters)
