"""The gateway's service against a real broker: what it reads arrives, whatever fails meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from edge.batching.clock import Observation
from edge.batching.system_clock import SystemClock
from edge.config.gateway import ClockSource, GatewayConfig, OutboxConfig
from edge.drivers.polled import Polled
from edge.service.agent import Agent, agent
from metering.messages import birth
from metering.messages.birth import MeterFacts
from metering.program.addresses import Address
from metering.program.connection import Broker
from metering.quantities import Medium
from metering.readings import EARLIEST_MS
from simulators.demo.servers import Mosquitto
from tests.peers.acknowledger import Acknowledger

pytestmark = pytest.mark.servers
PARK = "demo"
PATIENCE_S = 30.0


@dataclass
class Source:
    """Return `count` polls, one each 10 ms, with a counter that rises by one."""

    count: int = 10**9
    given: int = 0
    sink: Callable[[Polled], None] = field(default=lambda _polled: None)
    learn: Callable[[Mapping[str, MeterFacts]], None] = field(default=lambda _facts: None)
    facts: dict[str, MeterFacts] = field(default_factory=dict)

    def __call__(
        self, sink: Callable[[Polled], None], learn: Callable[[Mapping[str, MeterFacts]], None]
    ) -> "Source":
        """Remember whom to tell."""
        self.sink, self.learn = sink, learn
        return self

    @property
    def counters(self) -> Mapping[str, int]:
        """Count polls."""
        return {"polls": self.given}

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(0.01)
            if self.given < self.count:
                self.given += 1
                quantities, values = ("energy_import_wh",), (self.given,)
                polled = Polled("m-1", Medium.ELECTRICITY, quantities, values, 0, time.monotonic_ns())
                self.sink(polled)


def broker_of(mosquitto: Mosquitto) -> Broker:
    return Broker(host="127.0.0.1", port=mosquitto.port)


def config(
    folder: Path, broker: Broker, *, spill_after_s: float = 10.0, always: bool = False
) -> GatewayConfig:
    return GatewayConfig(
        park=PARK,
        gateway="gw-1",
        broker=broker,
        clock=ClockSource.TRUSTED,
        http=Address(),
        outbox=OutboxConfig(path=folder / "outbox.db", spill_after_s=spill_after_s, always=always),
        buses=(),
        devices=(),
    )


@asynccontextmanager
async def running(chosen: GatewayConfig, source: Source) -> AsyncIterator[Agent]:
    """Run the service until the block ends, then stop it in order."""
    stop = asyncio.Event()
    async with agent(chosen, source) as one, asyncio.TaskGroup() as group:
        group.create_task(one.run(stop), name="agent")
        try:
            yield one
        finally:
            stop.set()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - conditions of a test have no event
            await asyncio.sleep(0.02)


def more_rows(receiver: Acknowledger, *, than: int) -> bool:
    return len(receiver.rows) > than


def counts(receiver: Acknowledger) -> list[int]:
    return sorted(row[3] for row in receiver.rows)


async def test_rows_arrive_after_the_birth_and_the_last_status_balances(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    broker, source = broker_of(mosquitto), Source(count=100)
    async with Acknowledger(PARK, broker) as receiver:
        async with running(config(tmp_path, broker), source):
            await until(lambda: len(receiver.rows) == 100)
        await until(lambda: receiver.last_status and not receiver.last_status.online)
        assert counts(receiver) == list(range(1, 101))
        assert [one.topic.rsplit("/", 1)[1] for one in receiver.heard[:2]] == ["birth", "status"]
        last = receiver.last_status
        assert last is not None
        (account,) = last.accounts
        assert (account.read, account.stored, account.held, account.balance) == (100, 100, 0, 0)


async def test_rows_wait_for_an_ingest_and_then_all_come(mosquitto: Mosquitto, tmp_path: Path) -> None:
    broker, source = broker_of(mosquitto), Source(count=300)
    async with running(config(tmp_path, broker, spill_after_s=0.5), source) as service:
        await until(lambda: source.given == 300 and service.snapshot().outbox_disk_bytes > 0)
        assert service.snapshot().connected
        async with Acknowledger(PARK, broker) as receiver:
            await until(lambda: len(receiver.rows) == 300)
            await until(lambda: service.snapshot().accounts[0].stored == 300)
            assert counts(receiver) == list(range(1, 301))


async def test_nothing_is_lost_when_the_broker_is_killed(mosquitto: Mosquitto, tmp_path: Path) -> None:
    broker, source = broker_of(mosquitto), Source(count=400)
    async with (
        Acknowledger(PARK, broker) as receiver,
        running(config(tmp_path, broker, spill_after_s=1), source) as service,
    ):
        for _ in range(2):
            before = len(receiver.rows)
            await until(partial(more_rows, receiver, than=before + 20))
            await asyncio.to_thread(mosquitto.kill)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(mosquitto.start)
        await until(lambda: service.snapshot().accounts[0].stored == 400)
        assert counts(receiver) == list(range(1, 401))


async def test_what_is_not_acknowledged_comes_again_byte_for_byte(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    broker, source = broker_of(mosquitto), Source(count=50)
    async with (
        Acknowledger(PARK, broker, deaf=True) as receiver,
        running(config(tmp_path, broker), source) as service,
    ):
        await until(lambda: len(receiver.rows) == 50)
        receiver.deaf = False
        await until(lambda: service.snapshot().accounts[0].stored == 50)
        assert service.snapshot().counters["messages_resent"] > 0
        assert all(len(bodies) == 1 for bodies in receiver.bodies.values())


async def test_an_epoch_left_behind_is_sent_by_the_next_run_as_it_was(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    broker = broker_of(mosquitto)
    nowhere = Broker(host="127.0.0.1", port=1)
    source = Source(count=40)
    async with running(config(tmp_path, nowhere), source) as service:
        await until(lambda: source.given == 40)
        first = service.snapshot().identity.epoch
    async with (
        Acknowledger(PARK, broker) as receiver,
        running(config(tmp_path, broker), Source(count=10)) as service,
    ):
        await until(lambda: len(receiver.rows) == 50)
        assert {message.epoch for message in receiver.bodies} == {first, service.snapshot().identity.epoch}
        last = receiver.last_status
        assert last is not None
        assert last.clean_stop is True
        old = next(one for one in last.accounts if one.epoch == first)
        assert (old.read, old.read_is_known) == (40, True)


async def test_an_unreadable_acknowledgement_harms_nothing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    broker, source = broker_of(mosquitto), Source(count=20)
    async with (
        Acknowledger(PARK, broker, deaf=True) as receiver,
        running(config(tmp_path, broker), source) as service,
    ):
        assert receiver.link is not None
        await until(lambda: len(receiver.rows) > 0)
        for body in (b"", b"\xff\xfe", b'{"schema":1}', b'{"schema":1,"time_ms":0,"acks":[{"epoch":1}]}'):
            receiver.link.publish(f"zonewise/v1/{PARK}/gw-1/ack", body)
        receiver.deaf = False
        await until(lambda: service.snapshot().accounts[0].stored == 20)


class LateClock(SystemClock):
    """A machine that stands in 1970 until its clock is set."""

    is_set = False

    def observe(self) -> Observation:
        """Return both clocks."""
        now_ns = time.time_ns() if self.is_set else time.monotonic_ns()
        return Observation(time.monotonic_ns(), now_ns, synchronised=self.is_set)


async def test_a_clock_that_becomes_known_dates_the_birth_anew(mosquitto: Mosquitto, tmp_path: Path) -> None:
    broker, system, stop = broker_of(mosquitto), LateClock(), asyncio.Event()
    chosen = replace(config(tmp_path, broker), clock=ClockSource.NTP)
    async with (
        Acknowledger(PARK, broker) as receiver,
        agent(chosen, Source(count=0), system=system) as one,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(one.run(stop), name="agent")

        def born_ms() -> list[int]:
            births = (heard.body for heard in receiver.heard if heard.topic.endswith("/birth"))
            return [birth.decode(body).time_ms for body in births]

        await until(born_ms)
        assert born_ms()[-1] < EARLIEST_MS
        system.is_set = True
        await until(lambda: born_ms()[-1] >= EARLIEST_MS)
        stop.set()


class AheadClock(SystemClock):
    """A machine whose clock is a day ahead until somebody sets it right."""

    is_set = False

    def observe(self) -> Observation:
        """Return both clocks."""
        now_ns = time.time_ns() + (0 if self.is_set else 86_400 * 10**9)
        return Observation(time.monotonic_ns(), now_ns, synchronised=self.is_set)


async def test_a_clock_set_back_by_a_day_is_followed_and_told(
    mosquitto: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker, system, stop, source = broker_of(mosquitto), AheadClock(), asyncio.Event(), Source()
    async with (
        Acknowledger(PARK, broker) as receiver,
        agent(config(tmp_path, broker), source, system=system) as one,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(one.run(stop), name="agent")

        def newest() -> tuple[int, int]:
            _meter, taken_at_ms, quality, _value = max(receiver.rows, key=lambda row: int(row[3]))
            return taken_at_ms - time.time_ns() // 1_000_000, quality

        await until(lambda: len(receiver.rows) > 10)
        assert newest()[0] > 86_000_000
        system.is_set = True
        await until(lambda: newest()[0] < 1000)
        assert newest()[1] == 0
        await until(lambda: one.snapshot().counters["clock_steps"] == 1)
        stop.set()
    last = receiver.last_status
    assert last is not None
    assert last.counters["clock_steps"] == 1
    told = [
        record.getMessage() for record in caplog.records if "stepped by -86400.0 s" in record.getMessage()
    ]
    assert len(told) == 1


async def test_a_change_of_a_meter_is_announced(mosquitto: Mosquitto, tmp_path: Path) -> None:
    broker, source = broker_of(mosquitto), Source(count=0)
    async with Acknowledger(PARK, broker) as receiver, running(config(tmp_path, broker), source):
        await until(lambda: any(one.topic.endswith("/birth") for one in receiver.heard))
        source.facts["m-1"] = MeterFacts("maker-model", "0123456789ab", Medium.WATER, 10.0, serial="4711")
        source.learn(source.facts)
        await until(lambda: any(b"4711" in one.body for one in receiver.heard))
        births = [birth.decode(one.body) for one in receiver.heard if one.topic.endswith("/birth")]

    # The device was there when it was read, not when the birth was drawn up.
    (since_ms,) = {one.meters["m-1"].since_ms for one in births if "m-1" in one.meters}
    assert since_ms is not None
    assert births[0].time_ms <= since_ms <= births[-1].time_ms


async def test_while_ingest_holds_a_gateway_only_probes(
    mosquitto: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker, source = broker_of(mosquitto), Source()
    async with Acknowledger(PARK, broker, deaf=True) as receiver:
        await until(lambda: receiver.link is not None and receiver.link.is_up)
        receiver.say_holding()
        async with running(config(tmp_path, broker), source) as service:
            await until(lambda: "takes no rows until its clock is right" in caplog.text)
            before = len(receiver.bodies)
            await asyncio.sleep(4)
            # Twenty messages were made meanwhile.
            assert len(receiver.bodies) - before <= 3
            assert service.snapshot().outstanding <= 3
            receiver.deaf = False
            receiver.say_online(online=True)
            await until(lambda: len(receiver.rows) > 200)
