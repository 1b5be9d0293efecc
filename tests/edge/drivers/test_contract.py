"""A protocol that is unlike Modbus, polled, predicted and read through the contract of drivers alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from edge.commissioning.forecast import forecast
from edge.commissioning.read import NotReadable, read_meter
from edge.config.gateway import GatewayConfig, load_config
from edge.drivers.contract import Driver
from edge.drivers.polled import Polled
from edge.drivers.settings import BusConfig, DeviceConfig, Point, Serial
from edge.drivers.table import MODULES, load_driver, protocol_of
from edge.polling.buses import Polling
from edge.polling.health import BusState, DeviceState, Health
from metering.messages.birth import MeterFacts
from tests.peers import pulse_driver
from tests.peers.modbus_meters import Meters, modbus_tcp
from tests.peers.pulse_counter import pulse_counter, telegram

GATEWAY = """\
park: pk-1
gateway: gw-1
broker: {host: 127.0.0.1}
buses: {net: {tcp: "127.0.0.1:PORT"}}
meters: [{id: electric, model: eastron-sdm630, bus: net, address: 1, poll_s: 0.2}]
"""
LITRES = 10
POINT = Point("water")


def drivers(protocol: str) -> Driver[Any]:
    """Return the test's driver beside those of the product."""
    return pulse_driver.DRIVER if protocol == pulse_driver.PROTOCOL else load_driver(protocol)


def pulse_bus(link: Path) -> BusConfig:
    return BusConfig("pulses", Serial(link), timeout_s=0.3)


def pulse_device(poll_s: float = 0.2) -> DeviceConfig:
    return DeviceConfig("pulses", "", pulse_driver.PulseModel(LITRES), (POINT,), poll_s)


def gateway(folder: Path, link: Path, *, port: int = 502, poll_s: float = 0.2) -> GatewayConfig:
    """Return a gateway with a Modbus meter and a pulse counter."""
    path = folder / "gateway.yaml"
    path.write_text(GATEWAY.replace("PORT", str(port)), encoding="utf-8")
    config = load_config(path)
    return replace(
        config,
        buses=(*config.buses, pulse_bus(link)),
        devices=(*config.devices, pulse_device(poll_s)),
    )


@dataclass
class Findings:
    """What came of polling."""

    health: Health
    rows: list[Polled] = field(default_factory=list)
    facts: dict[str, MeterFacts] = field(default_factory=dict)

    def litres(self) -> list[int]:
        """Return what the water meter has counted."""
        counted = [row.values[0] for row in self.rows if row.meter == POINT.meter]
        return [value for value in counted if isinstance(value, int)]

    def meters(self) -> set[str]:
        """Return the meters that gave rows."""
        return {row.meter for row in self.rows}

    def state(self) -> DeviceState:
        """Return how the pulse counter is."""
        return self.health.state("pulses", "")

    def bus(self) -> BusState:
        """Return how its line is."""
        return next(one.state for one in self.health.snapshot().buses if one.name == "pulses")


@asynccontextmanager
async def polling(config: GatewayConfig) -> AsyncIterator[Findings]:
    """Poll as the gateway does while the block runs."""
    found = Findings(Health(config.buses, config.devices))
    polls = Polling(config, found.health, found.rows.append, found.facts.update, drivers=drivers)
    found.facts.update(polls.facts)
    task = asyncio.create_task(polls.run())
    try:
        yield found
    finally:
        assert not task.done(), task
        task.cancel()


async def wait_until(what: str, condition: Callable[[], object]) -> None:
    begun_s = time.monotonic()
    while not condition():
        assert time.monotonic() - begun_s < 60, f"not in time: {what}"
        await asyncio.sleep(0.02)


async def test_a_pushed_protocol_gives_rows_beside_modbus(tmp_path: Path) -> None:
    meters = Meters(registers=lambda _unit, _address, count: bytes(2 * count))
    async with (
        pulse_counter(tmp_path) as counter,
        modbus_tcp(meters) as port,
        polling(gateway(tmp_path, counter.link, port=port)) as found,
    ):
        await wait_until("rows of both", lambda: len(found.litres()) > 3 and len(found.meters()) == 2)
        assert found.state() is DeviceState.GOOD
        assert found.bus() is BusState.UP
    litres = found.litres()
    assert litres == sorted(set(litres)), "each telegram once, in order"
    assert all(one % LITRES == 0 for one in litres)
    assert found.facts["water"].counters["volume_l"].step == LITRES
    row = next(row for row in found.rows if row.meter == "water")
    assert abs(time.monotonic_ns() - row.taken_monotonic_ns) < 60e9, "stamped when the telegram came"


async def test_a_counter_that_stops_sending_is_silent_and_then_good_again(tmp_path: Path) -> None:
    async with pulse_counter(tmp_path) as counter, polling(gateway(tmp_path, counter.link)) as found:
        await wait_until("rows", found.litres)
        counter.is_quiet = True
        await wait_until("it is silent", lambda: found.state() is DeviceState.SILENT)
        before = counter.count
        counter.is_quiet = False
        await wait_until("it is good again", lambda: found.state() is DeviceState.GOOD)
        assert found.litres()[-1] > before * LITRES
        assert found.health.counters()["timeouts"] >= 1


async def test_a_port_that_is_pulled_out_is_a_line_that_is_down_until_it_is_back(tmp_path: Path) -> None:
    async with pulse_counter(tmp_path) as counter, polling(gateway(tmp_path, counter.link)) as found:
        await wait_until("rows", found.litres)
        counter.pull_out()
        await wait_until("the line is down", lambda: found.bus() is BusState.DOWN)
        assert found.state() is DeviceState.SILENT
        rows = len(found.litres())
        counter.plug_in()
        await wait_until("rows again", lambda: len(found.litres()) > rows + 2)
        assert found.bus() is BusState.UP
        assert found.state() is DeviceState.GOOD


async def test_spoiled_telegrams_are_garbled_answers(tmp_path: Path) -> None:
    async with pulse_counter(tmp_path) as counter, polling(gateway(tmp_path, counter.link)) as found:
        counter.spoils = True
        await wait_until("one is counted", lambda: found.health.counters()["garbled_answers"])
        counter.spoils = False
        await wait_until("it is good", lambda: found.state() is DeviceState.GOOD)


def test_what_a_pushed_protocol_costs_is_predicted_beside_modbus(tmp_path: Path) -> None:
    predicted = forecast(gateway(tmp_path, tmp_path / "none", poll_s=300.0), drivers=drivers)

    net, pulses = predicted.buses
    assert (net.bus, net.requests > 0) == ("net", True)
    assert (pulses.bus, pulses.meters, pulses.requests) == ("pulses", 1, 0)
    assert pulses.fits
    assert 0 < pulses.busy < 0.001
    assert predicted.uplink.rows_per_day == 86400 / 0.2 + 86400 / 300


async def test_a_counter_is_read_by_hand(tmp_path: Path) -> None:
    async with pulse_counter(tmp_path) as counter:
        config = gateway(tmp_path, counter.link)
        sheet = await read_meter(config, config.devices[-1], POINT, drivers=drivers)
    (shown,) = sheet.shown
    assert (shown.quantity, shown.unit, shown.remark) == ("volume_l", "l", "")
    assert isinstance(shown.value, int)
    assert shown.raw == telegram(shown.value // LITRES).decode().strip()
    assert (sheet.requests, sheet.is_empty) == (0, False)


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_counter_that_says_nothing_is_not_readable(tmp_path: Path, *, is_there: bool) -> None:
    async with pulse_counter(tmp_path) as counter:
        counter.is_quiet = True
        if not is_there:
            counter.pull_out()
        config = gateway(tmp_path, counter.link)
        with pytest.raises(NotReadable) as caught:
            await read_meter(config, config.devices[-1], POINT, drivers=drivers)
    expected = "no answer from the device on pulses" if is_there else "pulses cannot be used"
    assert str(caught.value).startswith(expected)


def test_every_driver_of_the_table_can_be_loaded() -> None:
    for protocol in MODULES:
        driver = load_driver(protocol)
        assert all(hasattr(driver, one) for one in ("open_line", "device", "inspection", "line_time"))


def test_a_bus_speaks_one_protocol(tmp_path: Path) -> None:
    modbus, pulse = gateway(tmp_path, tmp_path / "none").devices

    assert protocol_of([]) == protocol_of([modbus]) == "modbus"
    assert protocol_of([pulse]) == "pulse"
    with pytest.raises(ValueError, match="modbus and pulse"):
        protocol_of([modbus, pulse])
