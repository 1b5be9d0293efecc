"""History and load on a real broker: everything sent is accounted for, through a broker that dies, too."""

import asyncio
import time
from pathlib import Path

import pytest

from metering.program.connection import Broker
from metering.quantities import Medium
from metering.readings import Row, RowBlock
from simulators.demo.servers import Mosquitto
from simulators.demo.site import PARKS
from simulators.errors import DeliveryFailed, first_of
from simulators.gateways.courier import Route, courier
from simulators.gateways.history import STEP_MS, HistorySpan
from simulators.gateways.history_courier import send_history
from simulators.gateways.loadgen import LoadPlan, generate_load
from simulators.loads.course import Flow
from simulators.wires import Wires, load_wires
from tests.peers.acknowledger import Acknowledger

pytestmark = pytest.mark.servers
NOW_MS = 1_770_000_000_000


class Rising:
    """One kW, for ever."""

    def at(self, instant_ms: int) -> Flow:
        """Return the flow: counters in proportion to the time."""
        return Flow(1000.0, instant_ms / 3600, 0.0)


@pytest.fixture
def broker(mosquitto: Mosquitto) -> Broker:
    return Broker(host="127.0.0.1", port=mosquitto.port)


def block(first: int, rows: int = 10) -> RowBlock:
    made = tuple(Row("m", NOW_MS + first + n, 0, (first + n,)) for n in range(rows))
    return RowBlock(Medium.ELECTRICITY, ("energy_import_wh",), made)


def route(broker: Broker, folder: Path, **changes: float) -> Route:
    return Route("p", "gw", broker, "test", folder, **changes)


async def test_what_is_sent_is_acknowledged_and_counted(broker: Broker, tmp_path: Path) -> None:
    async with Acknowledger("p", broker) as peer, courier(route(broker, tmp_path)) as one:
        for turn in range(200):
            await one.send(block(10 * turn))
        await one.drain()
        account = one.account
        assert (account.read, account.stored, account.held, account.dropped) == (2000, 2000, 0, 0)
        assert len(one.ack_times_s) == 200
        assert sorted(row[1] for row in peer.rows) == list(range(NOW_MS, NOW_MS + 2000))


async def test_a_broker_that_dies_loses_nothing(mosquitto: Mosquitto, broker: Broker, tmp_path: Path) -> None:
    async with Acknowledger("p", broker) as peer, courier(route(broker, tmp_path)) as one:
        for turn in range(150):
            if turn in (50, 100):
                await asyncio.to_thread(mosquitto.kill)
                await asyncio.to_thread(mosquitto.start)
            await one.send(block(10 * turn))
        await one.drain()
        assert one.account.stored == 1500
        assert {row[1] for row in peer.rows} == set(range(NOW_MS, NOW_MS + 1500))
        assert all(len(bodies) == 1 for bodies in peer.bodies.values())


async def test_without_an_acknowledgement_it_gives_up_and_keeps_the_rows(
    broker: Broker, tmp_path: Path
) -> None:
    held: list[int] = []

    async def send_to_the_deaf() -> None:
        way = route(broker, tmp_path, no_ack_s=1.5)
        async with Acknowledger("p", broker, deaf=True), courier(way) as one:
            await one.send(block(0))
            await one.drain(on_wait=lambda: held.append(one.account.held))

    with pytest.raises(ExceptionGroup) as failed:
        await send_to_the_deaf()
    assert isinstance(first_of(failed.value), DeliveryFailed)
    assert set(held) == {10}


@pytest.fixture
def wires() -> Wires:
    return load_wires(PARKS / "demo" / "sim.yaml")


async def test_history_of_all_gateways_arrives_whole(broker: Broker, tmp_path: Path, wires: Wires) -> None:
    meters = [meter for gateway in wires.gateways for meter in gateway.meter_ids]
    span = HistorySpan(NOW_MS, 2)
    async with Acknowledger(wires.park, broker) as peer:
        accounts = await send_history(
            wires, dict.fromkeys(meters, Rising()), broker, span, folder=tmp_path, check=lambda: None
        )
        found = {(row[0], row[1]) for row in peer.rows}
    assert found == {(meter, instant) for meter in meters for instant in span.instants}
    assert len(peer.rows) == len(found)
    assert sum(one.account.stored for one in accounts) == len(found)
    assert {one.sender for one in accounts} == {"gw-1 history", "gw-2 history"}
    assert all(instant % STEP_MS == 0 for _, instant in found)
    assert {message.epoch for message in peer.bodies} == {one.account.epoch for one in accounts}


@pytest.mark.parametrize("period_s", [0.0, 0.2])
async def test_load_is_announced_sent_and_counted(broker: Broker, tmp_path: Path, period_s: float) -> None:
    plan = LoadPlan(
        "p", broker, tmp_path, gateways=2, meters=30, quantities=5, seconds=1.0, period_s=period_s
    )
    async with Acknowledger("p", broker) as peer:
        began_s = time.monotonic()
        result = await generate_load(plan)
        assert result.elapsed_s <= time.monotonic() - began_s
    assert result.stored == sum(account.read for account in result.accounts) > 0
    assert result.values == 5 * result.stored
    assert {topic for topic in (one.topic for one in peer.heard) if topic.endswith("/birth")} == {
        "zonewise/v1/p/load-1/birth",
        "zonewise/v1/p/load-2/birth",
    }
    rows = [(row[0], row[1]) for row in peer.rows]
    assert len(rows) == len(set(rows)) == result.stored
    assert result.ack_time_s(0.5) <= result.ack_time_s(1.0)
