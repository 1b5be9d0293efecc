"""Registers that a meter refuses or does not answer: what is read all the same, what is shown, and what comes back.

On a moved clock, but for the last ones on real wires. ABB B23: counters in one block at 0x5000, all else at 0x5B00, identity and serial number apart.
"""

import asyncio
import logging
import random
import struct
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import pairwise

import pytest

from edge.catalogue import models as catalogue
from edge.drivers.modbus.driver import ModbusDriver
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Function
from edge.drivers.polled import Polled
from edge.drivers.settings import BusConfig, Serial, Tcp
from edge.errors import MeterRefused
from edge.polling.health import DeviceState, Health
from edge.polling.poller import Outlets, Poller
from metering.readings import ReadingFlag
from tests.edge.polling.test_poller import Bench, device, serial_bus
from tests.peers.modbus_meters import Meters, modbus_tcp, serial_line

IMPORT, EXPORT = range(0x5000, 0x5004), range(0x5004, 0x5008)
FREQUENCY = 0x5B2C
IDENTITY, SERIAL = 0x8960, 0x8900
#: "B23", as the meter says it.
TELLS_B23 = {(1, IDENTITY): 0x4232, (1, IDENTITY + 1): 0x3300, (1, SERIAL + 1): 4711}
WHOLE_PLAN = {Block(Function.HOLDING, 0x5000, 8), Block(Function.HOLDING, 0x5B00, 59)}


def network() -> BusConfig:
    return BusConfig("line1", Tcp("192.0.2.1", 502), timeout_s=0.5)


def abb(bus: BusConfig | None = None, **changes: object) -> Bench:
    bench = Bench(bus or serial_bus(), [device(1, "abb-b23", **{"poll_s": 10.0, **changes})])
    bench.line.images.update(TELLS_B23)
    return bench


def refuse(bench: Bench, code: int, *registers: int, for_s: float | None = None) -> None:
    bench.line.refused = dict.fromkeys(registers, code)
    if for_s is not None:
        bench.line.refused_until_s = dict.fromkeys(registers, bench.clock.now_s + for_s)


def shown(bench: Bench) -> dict[str, tuple[str, bool]]:
    """Return what is noted as missing: the reason, and whether it is a counter."""
    (one,) = bench.health.snapshot().devices
    return {missing.use.name: (missing.reason, missing.is_counter) for missing in one.missing}


async def test_counters_refused_for_three_seconds_are_back_at_the_next_poll(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = abb()
    refuse(bench, 2, *IMPORT, *EXPORT, for_s=3)
    with caplog.at_level(logging.INFO, logger="edge"):
        await bench.run(45)
    first, second, *_ = bench.rows
    assert "energy_import_wh" not in first.quantities
    assert {"energy_import_wh", "energy_export_wh"} <= {*second.quantities}
    assert first.quality & ReadingFlag.COUNTER_MISSING
    assert not any(row.quality & ReadingFlag.COUNTER_MISSING for row in bench.rows[1:])
    assert bench.state(1) is DeviceState.GOOD
    assert shown(bench) == {}
    assert bench.line.connects == 1
    said = [one.message for one in caplog.records if "energy_import_wh" in one.message]
    assert len(said) == 2
    assert "does not give energy_import_wh (holding register 20480): ILLEGAL_DATA_ADDRESS (2)" in said[0]
    assert "gives energy_import_wh, energy_export_wh again, after 10 s" in said[1]
    last_minute = {block for at_s, _, block in bench.line.asked if at_s > bench.clock.now_s - 15}
    assert last_minute == WHOLE_PLAN, "in as few requests as before"


async def test_a_counter_refused_for_ever_is_never_good_and_asked_for_each_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = abb()
    refuse(bench, 2, *EXPORT)
    await bench.run(3600)
    assert bench.state(1) is DeviceState.COUNTER_MISSING
    assert shown(bench) == {"energy_export_wh": ("ILLEGAL_DATA_ADDRESS (2)", True)}
    assert "energy_export_wh" in bench.health.snapshot().devices[0].detail
    assert bench.health.counters()["meters_counter_missing"] == 1
    assert bench.health.counters()["meters_silent"] == 0
    assert all(row.quality & ReadingFlag.COUNTER_MISSING for row in bench.rows)
    assert all("energy_import_wh" in row.quantities for row in bench.rows)
    assert len(bench.rows) >= 360
    tries_s = [at_s for at_s, _, block in bench.line.asked if block.address == EXPORT.start]
    assert 58 <= len(tries_s) <= 66
    assert max(b - a for a, b in pairwise(tries_s)) <= 75
    assert sum("energy_export_wh" in one.message for one in caplog.records) == 1


async def test_a_gauge_refused_for_ever_is_shown_and_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    bench = abb()
    refuse(bench, 2, FREQUENCY)
    await bench.run(3600)
    assert bench.state(1) is DeviceState.GOOD
    assert shown(bench) == {"frequency_hz": ("ILLEGAL_DATA_ADDRESS (2)", False)}
    assert not any(row.quality & (ReadingFlag.COUNTER_MISSING | ReadingFlag.PARTIAL) for row in bench.rows)
    assert not any("frequency_hz" in row.quantities for row in bench.rows)
    assert not caplog.records, "a warning is for a counter"
    assert 12 <= sum(block.address == FREQUENCY for _, _, block in bench.line.asked) <= 25
    (one,) = bench.health.snapshot().devices
    assert one.counts.exceptions <= 50


@pytest.mark.parametrize("code", [1, 2, 3, 4, 8, 77])
async def test_an_exception_costs_its_own_register_only(code: int) -> None:
    bench = abb()
    refuse(bench, code, *EXPORT)
    await bench.run(300)
    assert len(bench.rows) >= 30
    for row in bench.rows:
        assert {"energy_import_wh", "active_power_w", "frequency_hz"} <= {*row.quantities}
        assert "energy_export_wh" not in row.quantities
        assert not row.quality & ReadingFlag.PARTIAL


@pytest.mark.parametrize("code", [4, 8, 77])
async def test_a_block_refused_for_a_moment_is_whole_again_after_a_pause(code: int) -> None:
    bench = abb()
    await bench.run(1)
    bench.line.errors[1].append(MeterRefused(code))
    await bench.run(200)
    assert bench.health.snapshot().devices[0].counts.exceptions == 1
    assert not any(row.quality & ReadingFlag.COUNTER_MISSING for row in bench.rows)
    at_the_end = Counter(block for at_s, _, block in bench.line.asked if at_s > bench.clock.now_s - 60)
    assert at_the_end.keys() == WHOLE_PLAN


async def test_taking_apart_spends_at_most_one_period_per_poll_and_goes_on_at_the_next() -> None:
    """9600 Bd, a request takes some 70 ms; a period of 1 s is not enough for 20 of them."""
    bench = abb(poll_s=1.0)
    lacking = [0x5B00, 0x5B0C, 0x5B10, 0x5B16, 0x5B1A, FREQUENCY, 0x5B3A]
    refuse(bench, 4, *lacking)
    await bench.run(60)
    starts_s = [at_s for at_s, _, block in bench.line.asked if block.address == IMPORT.start]
    spent_s = []
    for start_s, next_s in zip(starts_s, [*starts_s[1:], bench.clock.now_s], strict=True):
        spent_s.append(max(at_s for at_s, _, _ in bench.line.asked if start_s <= at_s < next_s) - start_s)
    assert max(spent_s) <= 1.1
    assert max(spent_s) > 0.9, "the first poll did not suffice"
    assert all("energy_import_wh" in row.quantities for row in bench.rows), "the rest is read at each poll"
    assert bench.rows[0].quality & ReadingFlag.PARTIAL
    assert not bench.rows[-1].quality & ReadingFlag.PARTIAL
    assert len(shown(bench)) == len(lacking)
    assert bench.health.snapshot().devices[0].counts.skipped <= 3


@pytest.mark.parametrize("code", [5, 6])
async def test_a_busy_meter_is_asked_again_in_the_same_poll_and_not_taken_apart(code: int) -> None:
    """A request takes 52 ms: the fourth finds the meter busy, the sixth no longer."""
    bench = abb(network())
    refuse(bench, code, *IMPORT, for_s=0.22)
    await bench.run(15)
    assert bench.health.snapshot().devices[0].counts.exceptions == 1
    assert not any(row.quality & ReadingFlag.PARTIAL for row in bench.rows)
    assert all("energy_import_wh" in row.quantities for row in bench.rows)
    assert {block for _, _, block in bench.line.asked if block.count > 4} == WHOLE_PLAN


async def test_counters_of_a_meter_that_stays_busy_are_missing_and_come_with_the_plan() -> None:
    bench = abb()
    refuse(bench, 6, *IMPORT, for_s=25)
    await bench.run(12)
    assert bench.state(1) is DeviceState.COUNTER_MISSING
    assert shown(bench)["energy_import_wh"] == ("SERVER_DEVICE_BUSY (6)", True)
    assert bench.rows[0].quality & ReadingFlag.COUNTER_MISSING
    assert bench.rows[0].quality & ReadingFlag.PARTIAL
    await bench.run(30)
    assert bench.state(1) is DeviceState.GOOD
    assert {block for _, _, block in bench.line.asked if block.count > 4} == WHOLE_PLAN


async def test_a_missing_counter_comes_back_though_all_else_stays_busy() -> None:
    bench = abb()
    bench.line.refused = dict.fromkeys([*IMPORT, *EXPORT], 2) | {FREQUENCY: 6}
    bench.line.refused_until_s = dict.fromkeys([*IMPORT, *EXPORT], bench.clock.now_s + 30)
    await bench.run(200)
    assert bench.state(1) is DeviceState.GOOD
    assert {"energy_import_wh", "energy_export_wh"} <= {*bench.rows[-1].quantities}


@pytest.mark.parametrize("bus", [serial_bus(), network()], ids=["serial", "network"])
@pytest.mark.parametrize("register", [IDENTITY, SERIAL], ids=["identity", "serial"])
@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8, 77])
async def test_a_refused_identity_or_serial_number_stops_no_rows(
    bus: BusConfig, register: int, code: int
) -> None:
    bench = abb(bus)
    refuse(bench, code, register)
    await bench.run(45)
    assert len(bench.rows) == 5
    assert not any(row.quality & ReadingFlag.COUNTER_MISSING for row in bench.rows)
    assert bench.state(1) is (DeviceState.UNCONFIRMED if register == IDENTITY else DeviceState.GOOD)
    assert bench.line.connects == 1


@pytest.mark.parametrize("bus", [serial_bus(), network()], ids=["serial", "network"])
@pytest.mark.parametrize("register", [IDENTITY, SERIAL], ids=["identity", "serial"])
async def test_a_mute_identity_or_serial_number_costs_one_timeout_and_no_row(
    bus: BusConfig, register: int
) -> None:
    bench = abb(bus)
    bench.line.mute_registers = {register}
    await bench.run(45)
    assert len(bench.rows) == 5
    assert bench.line.mute_s == bus.timeout_s
    assert bench.health.counters()["timeouts"] == 1
    assert bench.state(1) is (DeviceState.UNCONFIRMED if register == IDENTITY else DeviceState.GOOD)
    assert bench.line.connects == 1
    assert [*shown(bench)] == ["identity" if register == IDENTITY else "serial number"]


async def test_a_mute_optional_register_is_asked_for_now_and_then_in_a_day() -> None:
    bench = abb()
    bench.line.mute_registers = {SERIAL}
    await bench.run(86_400)
    assert len(bench.rows) >= 8640
    assert 24 <= bench.health.counters()["timeouts"] <= 32
    assert bench.health.snapshot().devices[0].counts.skipped == 0


async def test_identity_and_serial_number_are_read_later_without_a_reconnect() -> None:
    bench = abb()
    refuse(bench, 6, IDENTITY, SERIAL, for_s=25)
    await bench.run(100)
    assert bench.facts["m1"].serial == "4711"
    assert bench.state(1) is DeviceState.GOOD
    assert bench.line.connects == 1
    assert len(bench.rows) == 10


async def test_a_mute_identity_is_read_later_without_a_reconnect() -> None:
    bench = abb()
    bench.line.mute_registers = {IDENTITY}
    bench.line.answered_from_s = bench.clock.now_s + 45
    await bench.run(100)
    assert bench.line.mute_s == bench.bus.timeout_s
    assert bench.state(1) is DeviceState.GOOD
    assert bench.line.connects == 1


async def test_a_carlo_gavazzi_without_serial_number_gives_its_rows() -> None:
    bench = Bench(serial_bus(), [device(1, "carlo-gavazzi-em340", poll_s=10.0)])
    bench.line.images[1, 0x0B] = 341
    bench.line.mute_registers = {0x5000}
    await bench.run(45)
    assert len(bench.rows) == 5
    assert bench.state(1) is DeviceState.GOOD


async def test_an_identity_that_can_be_read_later_still_stops_the_rows_of_another_model() -> None:
    bench = abb()
    bench.line.images[1, IDENTITY] = 0x4132
    refuse(bench, 4, IDENTITY, for_s=25)
    await bench.run(60)
    assert bench.state(1) is DeviceState.WRONG_MODEL
    assert len(bench.rows) == 4, "refused at 0, 10 and 20 s, answered at 40 s"
    refuse(bench, 4, IDENTITY)
    bench.rows.clear()
    await bench.run(900)
    assert bench.rows == [], "what it said last still stands"


async def test_a_meter_that_is_mute_costs_one_timeout_per_visit_though_it_has_an_identity() -> None:
    bench = abb()
    bench.line.mute = {1}
    await bench.run(5)
    assert {block for _, _, block in bench.line.asked} == {Block(Function.HOLDING, 0x5B3A, 1)}, "no identity"
    assert bench.state(1) is DeviceState.SILENT


async def test_a_meter_that_refuses_everything_is_taken_apart_once_and_comes_back_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = abb()
    every = [*IMPORT, *EXPORT, *range(0x5B00, 0x5B3B)]
    refuse(bench, 2, *every, for_s=1000)
    await bench.run(20)
    assert bench.rows == []
    assert bench.state(1) is DeviceState.UNUSABLE
    assert {
        one.message.count("asked for again") for one in caplog.records if "does not give" in one.message
    } == {1}
    assert sum("does not give" in one.message for one in caplog.records) <= 2, "not a line per register"
    taken_apart = len(bench.line.asked)
    await bench.run(700)
    assert len(bench.line.asked) - taken_apart <= 40, "a few requests each time it is looked at again"
    await bench.run(600)
    assert bench.state(1) is DeviceState.GOOD
    assert len(bench.rows[-1].quantities) == 14
    assert shown(bench) == {}


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_is_refused_for_a_while_costs_nothing_else_and_is_back_in_the_end(seed: int) -> None:
    """Some registers of a B23, each refused with a code of its own until an instant of its own."""
    jitter = random.Random(seed)
    specs = {spec.quantity: spec.register.address for spec in catalogue.load("abb-b23").channel()}
    some = {
        name: jitter.randint(0, 600) for name in jitter.sample(sorted(specs), jitter.randint(1, len(specs)))
    }
    counters = {name for name in specs if name.endswith("_wh")}
    bench = abb(network())
    begin_s = bench.clock.now_s
    bench.line.refused = {specs[name]: jitter.choice([1, 2, 3, 4, 8, 77]) for name in some}
    bench.line.refused_until_s = {specs[name]: begin_s + for_s for name, for_s in some.items()}
    await bench.run(1200)
    # Answers more than 1 s apart are two rows.
    polls: dict[int, list[Polled]] = defaultdict(list)
    for row in bench.rows:
        polls[int((row.taken_monotonic_ns / 1e9 - begin_s + 0.5) / 10)].append(row)
    for number, rows in polls.items():
        given = {name for row in rows for name in row.quantities}
        due = {
            name for name, for_s in some.items() if 10 * number > for_s + (75 if name in counters else 315)
        }
        assert specs.keys() - some.keys() | due <= given
        flagged = any(row.quality & ReadingFlag.COUNTER_MISSING for row in rows)
        assert flagged is not (counters <= given)
    assert len(polls) >= 119 or len(some) == len(specs)
    assert bench.state(1) is DeviceState.GOOD
    assert shown(bench) == {}
    assert bench.health.snapshot().devices[0].counts.skipped == 0


def b23(_unit: int, address: int, count: int) -> bytes:
    """Return what a block of an ABB B23 holds."""
    return struct.pack(f">{count}H", *(TELLS_B23.get((1, address + n), 0) for n in range(count)))


async def test_on_a_serial_line_others_are_polled_while_a_mute_serial_number_is_waited_out() -> None:
    meters = Meters(registers=b23, mute_addresses={(1, SERIAL)})
    rows: list[Polled] = []
    async with serial_line(meters) as path:
        way = Serial(path, baud=115200, parity="N")
        bus = BusConfig("line1", way, timeout_s=0.2, late_window_s=0.8)
        devices = [device(unit, "abb-b23", poll_s=0.2) for unit in (1, 2)]
        health = Health([bus], devices)
        poller = Poller(
            bus,
            devices,
            driver=ModbusDriver(),
            outlets=Outlets(rows.append, dict, health),
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(2.5):
                await poller.run()
    by_meter = Counter(row.meter for row in rows)
    assert by_meter["m1"] >= 4
    assert by_meter["m2"] >= by_meter["m1"] + 2, "polled during the late window"
    assert [one.state for one in health.snapshot().devices] == [DeviceState.GOOD, DeviceState.GOOD]
    assert sum(unit == 1 and address == SERIAL for unit, _, address, _ in meters.requests) == 1


async def test_over_tcp_an_identity_that_the_gateway_in_between_cannot_get_stops_no_rows() -> None:
    meters = Meters(registers=b23, refusals=dict.fromkeys((SERIAL, IDENTITY), 0x0B))
    rows: list[Polled] = []
    async with modbus_tcp(meters) as port:
        bus = BusConfig("line1", Tcp("127.0.0.1", port), timeout_s=0.5)
        devices = [device(1, "abb-b23", poll_s=0.2)]
        health = Health([bus], devices)
        poller = Poller(
            bus,
            devices,
            driver=ModbusDriver(),
            outlets=Outlets(rows.append, dict, health),
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await poller.run()
    (one,) = health.snapshot().devices
    assert len(rows) >= 3
    assert one.state is DeviceState.UNCONFIRMED
    assert (
        "the Modbus gateway in between reports that the meter does not answer it (exception 11)" in one.detail
    )
    assert health.snapshot().buses[0].failures == 0
