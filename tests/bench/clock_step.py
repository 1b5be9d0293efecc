"""How long the times of rows are wrong after the clock was set ahead and back.

The clock of the machine cannot be set, so a whole gateway runs in this process, with a stand-in for the system's
clock; the broker, the outbox and the meter's connection are real.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from edge.batching.clock import Observation
from edge.batching.system_clock import SystemClock
from edge.config.gateway import GatewayConfig, load_config
from edge.polling.buses import Polling
from edge.polling.health import Health
from edge.service.agent import agent
from metering.messages.data import Message
from tests.bench.figure import Figure
from tests.peers.modbus_meters import Meters, modbus_tcp
from tests.system.chain import Chain

_GATEWAY = "gw-clock"
_POLL_S = 1.0
_AHEAD_S, _AHEAD_FOR_S = 86_400.0, 10.0
_WATCH_S = 30.0
_BELIEVABLE_S = 2.0
_NEVER = float("inf")
_NS_PER_S = 1_000_000_000


@dataclass
class _SteppedSystem(SystemClock):
    """STAND-IN for the system's clocks: the wall clock is off by as much as is set."""

    ahead_s: float = 0.0

    def __post_init__(self) -> None:
        super().__init__()

    def observe(self) -> Observation:
        """Look at the clocks now."""
        wall_ns = time.time_ns() + round(self.ahead_s * _NS_PER_S)
        return Observation(time.monotonic_ns(), wall_ns, synchronised=True)


@dataclass
class _Taken:
    """How far the times of accepted rows are off, and when the rows were accepted."""

    seen: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, message: Message) -> None:
        """Note a message that the outbox has promised to keep."""
        now_s = time.time()
        taken_ms = [row.taken_at_ms for block in message.blocks for row in block.rows]
        self.seen.extend((now_s, taken_at_ms / 1000 - now_s) for taken_at_ms in taken_ms)

    def right_after_s(self, since_s: float) -> float:
        """Return how long after an instant the last row with a wrong time was accepted."""
        after = [(at_s - since_s, abs(off_s) <= _BELIEVABLE_S) for at_s, off_s in self.seen if at_s > since_s]
        wrong_s = [at_s for at_s, is_right in after if not is_right]
        if not after or not after[-1][1]:
            return _NEVER
        return max(wrong_s, default=0.0)


def clock_steps(one: Chain) -> Iterator[Figure]:
    """Set a gateway's clock ahead by a day and back."""
    ahead_s, back_s = asyncio.run(_step(one))
    how = (
        "whole gateway with a stand-in for the system's clock, one meter polled each second; until the last row whose "
        f"time is more than {_BELIEVABLE_S:g} s off, 0 = there is none"
    )
    yield Figure("Clock set ahead by a day, rows follow", ahead_s, "s", how, "<= 3 s")
    how = f"the same clock, set right after {_AHEAD_FOR_S:g} s; watched for {_WATCH_S:g} s"
    yield Figure("Clock set back by a day, rows follow", back_s, "s", how, "<= 3 s")


async def _step(one: Chain) -> tuple[float, float]:
    """Set the clock ahead and back; return how long rows had wrong times after each.

    While it is ahead, the right time of a row is the clock's.
    """
    system, taken = _SteppedSystem(), _Taken()
    async with modbus_tcp(Meters(registers=lambda _unit, _address, count: bytes(2 * count))) as port:
        config = _config(one, port)
        health = Health(config.buses, config.devices)
        async with agent(config, partial(Polling, config, health), accepted=taken, system=system) as service:
            stop = asyncio.Event()
            running = asyncio.create_task(service.run(stop))
            await asyncio.sleep(_AHEAD_FOR_S)
            ahead_from_s = time.time()
            system.ahead_s = _AHEAD_S
            await asyncio.sleep(_AHEAD_FOR_S)
            ahead = _Taken([(at_s, off_s - _AHEAD_S) for at_s, off_s in taken.seen])
            back_from_s = time.time()
            system.ahead_s = 0.0
            await asyncio.sleep(_WATCH_S)
            stop.set()
            await running
    return ahead.right_after_s(ahead_from_s), taken.right_after_s(back_from_s)


def _config(one: Chain, port: int) -> GatewayConfig:
    meter = {"id": "clock-1", "model": "eastron-sdm630", "bus": "single", "address": 1, "poll_s": _POLL_S}
    buses = {"single": {"tcp": f"127.0.0.1:{port}"}}
    # What the outbox has promised to keep is told with `always` alone.
    one.write_gateway(_GATEWAY, buses=buses, meters=[meter], durability="always")
    return load_config(one.folder / f"{_GATEWAY}.yaml")
