"""Polling on a moved clock: who is asked when, what comes of it, and what silence costs."""

import logging
import struct
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from edge.catalogue import models as catalogue
from edge.drivers.modbus.driver import ModbusDriver
from edge.drivers.polled import Polled
from edge.drivers.settings import BusConfig, DeviceConfig, Point, Serial, Tcp
from edge.drivers.wiring import Wiring
from edge.errors import GarbledAnswer, LineDown
from edge.polling.health import BusState, DeviceState, Health
from edge.polling.poller import Outlets, Poller
from metering.messages.birth import MeterFacts
from metering.readings import ReadingFlag
from tests.peers.moved_clock import Ended, MovedClock, MovedLine


def serial_bus(**changes: float) -> BusConfig:
    way = Serial(Path("/dev/none"), baud=9600, parity="N")
    return BusConfig("line1", way, **{"timeout_s": 0.5, **changes})


@dataclass
class Bench:
    """A poller, its line and what came out."""

    bus: BusConfig
    devices: list[DeviceConfig]
    clock: MovedClock = field(default_factory=MovedClock)
    rows: list[Polled] = field(default_factory=list)
    facts: dict[str, MeterFacts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.line = MovedLine(self.bus, self.clock)
        self.health = Health([self.bus], self.devices, now_s=lambda: self.clock.now_s)
        outlets = Outlets(self.rows.append, self.facts.update, self.health)
        self.poller = Poller(
            self.bus,
            self.devices,
            driver=ModbusDriver(self.line.open),
            outlets=outlets,
            clock=self.clock,
            jitter=lambda: 0.0,
        )

    async def run(self, seconds: float) -> None:
        """Poll for so long, on the moved clock."""
        self.clock.end_s = self.clock.now_s + seconds
        with pytest.raises(Ended):
            await self.poller.run()

    def state(self, unit: int) -> DeviceState:
        """Return what is noted of a device."""
        return next(d.state for d in self.health.snapshot().devices if d.address == unit)


def device(unit: int, model: str = "eastron-sdm630", **changes: object) -> DeviceConfig:
    points = changes.pop("points", (Point(f"m{unit}"),))
    profile = catalogue.load(model)
    return DeviceConfig("line1", unit, profile, points, **changes)  # type: ignore[arg-type]


async def test_polls_fall_on_whole_multiples_of_the_period_and_rows_carry_the_answers_instant() -> None:
    bench = Bench(serial_bus(), [device(1, poll_s=10.0)])
    bench.line.images.update(
        zip(((1, 0x48), (1, 0x49)), struct.unpack(">2H", struct.pack(">f", 12.5)), strict=True)
    )
    await bench.run(65)
    due = [asked_s for asked_s, _, block in bench.line.asked if block.address == 0][1:]
    assert [round(at_s + bench.clock.ahead_s, 3) % 10 for at_s in due] == [0.0] * len(due)
    assert len(due) == 6
    row = bench.rows[0]
    assert row.values[row.quantities.index("energy_import_wh")] == 12500
    assert row.quality & ~ReadingFlag.IMPLAUSIBLE == 0
    counters_at_s = next(at_s for at_s, _, block in bench.line.asked if block.address == 52)
    assert row.taken_monotonic_ns / 1e9 > counters_at_s


async def test_three_mute_meters_of_twenty_leave_the_others_their_rate() -> None:
    """9600 Bd, a line that is 90 % busy when all answer."""
    whole = Bench(serial_bus(), [device(unit, poll_s=6.0) for unit in range(1, 21)])
    await whole.run(1800)
    bench = Bench(serial_bus(), [device(unit, poll_s=6.0) for unit in range(1, 21)])
    bench.line.mute = {4, 11, 17}
    await bench.run(1800)
    rows = Counter(row.meter for row in bench.rows)
    assert bench.health.snapshot().buses[0].busy_s > 0.5 * 1800
    for unit in {*range(1, 21)} - bench.line.mute:
        assert rows[f"m{unit}"] >= 0.9 * 1800 / 6
        assert rows[f"m{unit}"] >= 0.9 * Counter(row.meter for row in whole.rows)[f"m{unit}"]
    first_timeouts_s = 3 * bench.bus.timeout_s
    assert bench.line.mute_s - first_timeouts_s <= 0.05 * 1800
    assert {bench.state(unit) for unit in bench.line.mute} == {DeviceState.SILENT}


async def test_probes_keep_to_their_share_even_if_all_are_mute() -> None:
    bench = Bench(serial_bus(), [device(unit, poll_s=2.0) for unit in range(1, 31)])
    bench.line.mute = set(range(1, 31))
    await bench.run(3600)
    assert bench.line.mute_s - 30 * 0.5 <= 0.05 * 3600
    asked = Counter(unit for _, unit, _ in bench.line.asked)
    assert min(asked.values()) >= 0.5 * max(asked.values()), "all have their turn"


async def test_a_probe_is_one_cheap_block_and_an_answer_brings_everything_back() -> None:
    bench = Bench(serial_bus(), [device(1, poll_s=10.0)])
    bench.line.mute = {1}
    await bench.run(100)
    probes = bench.line.asked[1:]
    assert probes
    assert all(block.count == 2 for _, _, block in probes)
    bench.line.mute = set()
    await bench.run(200)
    assert bench.state(1) is DeviceState.GOOD
    assert len(bench.rows) > 5


async def test_an_overloaded_line_skips_and_counts_and_never_bunches_up() -> None:
    bench = Bench(serial_bus(), [device(unit, poll_s=1.0) for unit in range(1, 11)])
    await bench.run(300)
    counts = [one.counts for one in bench.health.snapshot().devices]
    assert all(one.skipped > 100 for one in counts)
    assert all(295 <= one.polls + one.skipped <= 301 for one in counts)
    rows = Counter(row.meter for row in bench.rows)
    assert max(rows.values()) - min(rows.values()) <= 1


async def test_a_set_clock_neither_doubles_nor_leaves_out_polls() -> None:
    bench = Bench(serial_bus(), [device(1, poll_s=10.0)])
    await bench.run(100)
    before = len(bench.rows)
    bench.clock.ahead_s -= 3600.0 + 3.3
    bench.clock.end_s += 600
    poll_instants = Counter(row.taken_monotonic_ns for row in bench.rows)
    assert max(poll_instants.values()) == 1
    await bench.run(600)
    assert 59 <= len(bench.rows) - before <= 62
    instants_s = [row.taken_monotonic_ns / 1e9 for row in bench.rows[before + 2 :]]
    gaps = [b - a for a, b in pairwise(instants_s)]
    assert all(8.9 <= gap <= 11.1 for gap in gaps)
    assert round(instants_s[-1] + bench.clock.ahead_s) % 10 <= 1


async def test_what_a_meter_does_not_have_is_left_out_and_remembered() -> None:
    bench = Bench(serial_bus(), [device(1, poll_s=10.0)])
    bench.line.refused = {0x3E: 2, 0x3F: 2}
    await bench.run(35)
    assert "power_factor" not in bench.rows[0].quantities
    assert "energy_import_wh" in bench.rows[0].quantities
    assert not any(row.quality & ReadingFlag.PARTIAL for row in bench.rows)
    refusals = [one.counts.exceptions for one in bench.health.snapshot().devices]
    assert refusals[0] <= 8
    assert len(bench.rows) == 4


async def test_a_busy_meter_gives_part_of_a_row() -> None:
    bench = Bench(serial_bus(), [device(1, poll_s=10.0)])
    bench.line.refused = {0: 6}
    await bench.run(5)
    assert bench.rows[0].quality & ReadingFlag.PARTIAL
    assert bench.state(1) is DeviceState.GOOD


async def test_silence_in_the_middle_gives_part_of_a_row_and_then_a_probe() -> None:
    bench = Bench(serial_bus(), [device(1, poll_s=10.0)])
    await bench.run(5)
    bench.rows.clear()
    blocks = Counter(block for _, _, block in bench.line.asked)
    assert len(blocks) == 2
    read = bench.line.read

    async def read_once(unit: int, block: object) -> bytes:
        data = await read(unit, block)  # type: ignore[arg-type]
        bench.line.errors[1].append(GarbledAnswer("noise"))
        return data

    bench.line.read = read_once  # type: ignore[assignment, method-assign]
    await bench.run(2)
    assert bench.rows[0].quality & ReadingFlag.PARTIAL
    assert bench.state(1) is DeviceState.SILENT
    assert bench.health.counters()["garbled_answers"] == 1


async def test_answers_far_apart_are_two_rows() -> None:
    slow = Serial(Path("/dev/none"), baud=300, parity="N")
    bench = Bench(BusConfig("line1", slow, timeout_s=0.5), [device(1, poll_s=60.0)])
    await bench.run(30)
    assert set(bench.rows[0].quantities).isdisjoint(bench.rows[1].quantities)
    assert bench.rows[0].taken_monotonic_ns < bench.rows[1].taken_monotonic_ns


async def test_another_model_gives_no_rows_and_is_looked_at_again() -> None:
    bench = Bench(serial_bus(), [device(1, "eastron-sdm120")])
    bench.line.images[1, 0xFC02] = 0x84
    await bench.run(100)
    assert bench.rows == []
    assert bench.state(1) is DeviceState.WRONG_MODEL
    assert "132" in bench.health.snapshot().devices[0].detail
    bench.line.images[1, 0xFC02] = 0x20
    await bench.run(400)
    assert bench.rows


async def test_another_model_is_named_where_its_numbers_make_no_scale(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(serial_bus(), [device(1, "iskra-wm3m4")])
    bench.line.images.update({(1, address): 0x4D4D for address in range(1, 500)})
    await bench.run(20)
    assert bench.rows == []
    assert bench.state(1) is DeviceState.UNUSABLE
    assert "says that it is 'MMMMMMMMMMMMMMMM'" in caplog.text


async def test_channels_are_read_together_and_give_a_row_each() -> None:
    points = (Point("z2-water", 1), Point("z3-water", 2))
    bench = Bench(serial_bus(), [device(7, "wirenboard-wb-mwac-v2", points=points)])
    bench.line.images.update({(7, 1071): 5, (7, 1075): 9})
    await bench.run(5)
    assert [(block.address, block.count) for _, _, block in bench.line.asked[:1]] == [(1068, 8)]
    assert [(row.meter, row.values) for row in bench.rows[:2]] == [("z2-water", (5,)), ("z3-water", (9,))]


async def test_facts_follow_what_was_read_and_are_told_once() -> None:
    wiring = Wiring(ct=Fraction(50))
    bench = Bench(serial_bus(), [device(1, "eastron-sdm120", wiring=wiring)])
    assert bench.poller.facts["m1"].serial is None
    bench.line.images.update({(1, 0xFC02): 0x20, (1, 0xFC01): 4711})
    await bench.run(30)
    assert bench.facts["m1"].serial == "4711"
    assert bench.poller.facts == bench.facts
    assert bench.facts["m1"].counters["energy_import_wh"].step > 0
    assert (bench.facts["m1"].ct_primary_a, bench.facts["m1"].vt_primary_v) == (250.0, None)


async def test_a_line_that_is_down_is_opened_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(serial_bus(), [device(1), device(2)])
    bench.line.unreachable = 6
    with caplog.at_level(logging.INFO, logger="edge"):
        await bench.run(120)
    assert bench.line.connects == 7
    assert [row.meter for row in bench.rows[:2]] == ["m1", "m2"]
    assert sum("is down" in record.message for record in caplog.records) == 1
    assert bench.health.counters()["line_failures"] == 6
    bench.line.errors[1].append(LineDown("cut"))
    await bench.run(60)
    assert bench.health.snapshot().buses[0].state is BusState.UP
    assert bench.health.counters()["meters_silent"] == 0


async def test_a_device_that_hangs_up_at_once_is_not_connected_to_in_a_hurry() -> None:
    bus = BusConfig("line1", Tcp("192.0.2.1", 502), timeout_s=0.5)
    bench = Bench(bus, [device(1)])
    bench.line.errors[1].extend(LineDown("connection lost") for _ in range(6))
    await bench.run(15)
    assert bench.line.connects <= 6, "pauses of 0.5, 1, 2, 4, 8 s"
    assert bench.rows == []
    await bench.run(120)
    assert bench.line.connects == 7
    assert bench.rows


async def test_a_meter_that_only_says_busy_is_no_reason_to_connect_anew() -> None:
    bus = BusConfig("line1", Tcp("192.0.2.1", 502), timeout_s=0.5)
    bench = Bench(bus, [device(1)])
    bench.line.refused = dict.fromkeys(range(400), 6)
    await bench.run(600)
    assert bench.line.connects == 1
    assert bench.state(1) is DeviceState.SILENT
    assert "BUSY" in bench.health.snapshot().devices[0].detail


async def test_a_network_on_which_all_are_silent_is_connected_anew() -> None:
    bus = BusConfig("line1", Tcp("192.0.2.1", 502), timeout_s=0.5)
    bench = Bench(bus, [device(unit, poll_s=10.0) for unit in range(1, 4)])
    bench.line.mute = {1, 2, 3}
    await bench.run(300)
    assert bench.line.connects > 1
    bench.line.mute = set()
    await bench.run(120)
    assert {row.meter for row in bench.rows} == {"m1", "m2", "m3"}
