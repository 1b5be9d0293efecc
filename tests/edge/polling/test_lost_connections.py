"""Peers on real sockets that close connections, or lose them without a word."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from edge.drivers.modbus.bus import Bus
from edge.drivers.modbus.driver import ModbusDriver
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Function
from edge.drivers.polled import Polled
from edge.drivers.settings import BusConfig, RtuOverTcp, Tcp
from edge.errors import BusError, LineDown, NoAnswer
from edge.polling.health import BusState, DeviceState, Health
from edge.polling.poller import Outlets, Poller
from metering.readings import ReadingFlag
from tests.edge.polling.test_poller import device
from tests.peers.modbus_meters import Meters, checksum, content, modbus_tcp
from tests.peers.tcp_proxy import proxy

LOW = Block(Function.HOLDING, 100, 10)
HIGH = Block(Function.HOLDING, 110, 10)


def tcp(port: int, **changes: float) -> BusConfig:
    return BusConfig("line1", Tcp("127.0.0.1", port), **{"timeout_s": 0.3, **changes})


@pytest.mark.parametrize("later_s", [0.0, 0.002, 0.02])
async def test_a_device_that_closes_after_each_answer_answers_every_request(later_s: float) -> None:
    meters = Meters(closes_after_answer=True, closes_later_s=later_s)
    async with modbus_tcp(meters) as port, Bus(tcp(port)) as bus:
        await bus.connect()
        for number in range(20):
            block = Block(Function.INPUT, 7 * number, 12)
            assert await bus.read(1 + number % 3, block) == content(1 + number % 3, 7 * number, 12)
        assert meters.connections <= 20 + 1


async def test_a_device_that_accepts_and_closes_without_an_answer_is_a_line_down_at_once() -> None:
    meters = Meters(closes_on={1})
    async with modbus_tcp(meters) as port, Bus(tcp(port)) as bus:
        await bus.connect()
        for _ in range(5):
            with pytest.raises(LineDown):
                await bus.read(1, LOW)
        assert meters.connections == 1, "opening it again is left to the poller and its growing pauses"


async def test_a_device_that_stops_answering_and_closes_is_not_connected_to_for_ever() -> None:
    meters = Meters()
    async with modbus_tcp(meters) as port, Bus(tcp(port)) as bus:
        await bus.connect()
        await bus.read(1, LOW)
        meters.closes_on = {1}
        errors: list[BusError] = []
        for _ in range(20):
            with pytest.raises(BusError) as caught:
                await bus.read(1, LOW)
            errors.append(caught.value)
        assert meters.connections <= 7
        assert isinstance(errors[0], NoAnswer)
        assert isinstance(errors[-1], LineDown)


async def test_a_gateway_that_closes_on_a_mute_unit_answers_for_the_others() -> None:
    meters = Meters(closes_on={2})
    async with modbus_tcp(meters) as port, Bus(tcp(port)) as bus:
        await bus.connect()
        for _ in range(6):
            assert await bus.read(1, LOW) == content(1, 100, 10)
            with pytest.raises(NoAnswer, match="unit 2: the connection is closed instead of an answer"):
                await bus.read(2, LOW)
            assert await bus.read(3, HIGH) == content(3, 110, 10)


async def test_only_a_meters_own_answer_counts_as_one() -> None:
    async with modbus_tcp(Meters(refusals={5: 11, 6: 2})) as port, Bus(tcp(port)) as bus:
        await bus.connect()
        with pytest.raises(NoAnswer):
            await bus.read(1, Block(Function.INPUT, 5, 2))
        assert bus.answered_at_s == float("-inf")
        assert time.monotonic() - bus.heard_at_s < 5
        with pytest.raises(BusError):
            await bus.read(1, Block(Function.INPUT, 6, 2))
        assert bus.answered_at_s == bus.heard_at_s


@dataclass
class Findings:
    """What came of polling."""

    health: Health
    rows: list[Polled] = field(default_factory=list)

    @property
    def meters(self) -> Counter[str]:
        """Rows by meter."""
        return Counter(row.meter for row in self.rows)

    def has_asked_all(self) -> bool:
        """Return whether no device waits for its first request."""
        return not any(one.state is DeviceState.WAITING for one in self.health.snapshot().devices)


@asynccontextmanager
async def polling(bus: BusConfig, units: range, *, poll_s: float) -> AsyncIterator[Findings]:
    """Poll a real line while the block runs."""
    devices = [device(unit, poll_s=poll_s) for unit in units]
    found = Findings(Health([bus], devices))
    outlets = Outlets(found.rows.append, lambda _facts: None, found.health)
    task = asyncio.create_task(Poller(bus, devices, driver=ModbusDriver(), outlets=outlets).run())
    try:
        yield found
    finally:
        assert not task.done(), task
        task.cancel()


async def wait_until(what: str, condition: Callable[[], object], *, timeout_s: float) -> float:
    """Wait for a condition, and return how long it took."""
    begun_s = time.monotonic()
    while not condition():
        assert time.monotonic() - begun_s < timeout_s, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.02)
    return time.monotonic() - begun_s


async def test_a_device_that_closes_after_each_answer_gives_whole_rows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    meters = Meters(closes_after_answer=True, registers=lambda _unit, _address, count: bytes(2 * count))
    with caplog.at_level(logging.INFO, logger="edge"):
        async with modbus_tcp(meters) as port, polling(tcp(port), range(1, 4), poll_s=0.5) as found:
            await wait_until(
                "rows", lambda: len(found.meters) == 3 and min(found.meters.values()) > 4, timeout_s=20
            )
            assert not any(row.quality & ReadingFlag.PARTIAL for row in found.rows)
            assert len({row.quantities for row in found.rows}) == 1
            assert found.health.counters()["line_failures"] == 0
    assert len(caplog.messages) == 4, "the line and three meters, once each"


async def test_a_unit_on_which_the_gateway_closes_is_silent_and_the_others_are_good() -> None:
    meters = Meters(closes_on={2}, registers=lambda _unit, _address, count: bytes(2 * count))
    async with modbus_tcp(meters) as port, polling(tcp(port), range(1, 4), poll_s=0.5) as found:
        await wait_until("rows", lambda: found.meters["m1"] > 4 and found.meters["m3"] > 4, timeout_s=20)
        states = [one.state for one in found.health.snapshot().devices]
        assert states == [DeviceState.GOOD, DeviceState.SILENT, DeviceState.GOOD]
        assert found.health.counters()["line_failures"] == 0


@pytest.mark.slow
async def test_a_connection_that_leads_nowhere_is_left_for_a_new_one() -> None:
    """60 units behind one address, 24 of them mute; the connection is lost without a word."""
    meters = Meters(mute=set(range(37, 61)), registers=lambda _unit, _address, count: bytes(2 * count))
    async with (
        modbus_tcp(meters) as port,
        proxy(port) as network,
        polling(tcp(network.port, timeout_s=1.0), range(1, 61), poll_s=10.0) as found,
    ):
        await wait_until("every unit was asked", found.has_asked_all, timeout_s=90)
        found.rows.clear()
        await wait_until("36 meters answer", lambda: len(found.meters) == 36, timeout_s=30)
        found.rows.clear()
        network.swallow()
        is_down_s = await wait_until(
            "it is said", lambda: found.health.counters()["line_failures"], timeout_s=30
        )
        assert 10 <= is_down_s <= 25, "a poll period until the next request, 10 s of silence, a time-out"
        await wait_until("all are back", lambda: len(found.meters) == 36, timeout_s=30 - is_down_s)
        assert network.connections == 2
        assert found.health.snapshot().buses[0].state is BusState.UP


async def test_over_a_converter_a_request_lost_with_the_connection_is_asked_after_the_late_window() -> None:
    """Frames carry no number there: the old answer may still come on the new connection."""
    requests: list[float] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(8):
            requests.append(time.monotonic())
            if len(requests) == 2:
                break
            frame = data[:2] + bytes([20]) + content(data[0], 100, 10)
            writer.write(frame + checksum(frame))
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    way = RtuOverTcp("127.0.0.1", port, baud=115200)
    config = BusConfig("conv", way, timeout_s=0.3, late_window_s=0.4)
    async with server, Bus(config) as bus:
        await bus.connect()
        for _ in range(2):
            assert await bus.read(1, LOW) == content(1, 100, 10)
    assert requests[2] - requests[1] >= 0.4
