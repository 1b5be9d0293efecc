"""Silence on a moved clock: a lost frame, a dead connection, a power cut, a meter that boots; and its cost."""

import asyncio
import logging
import random
from collections import Counter
from itertools import pairwise

import pytest

from edge.drivers.settings import BusConfig, Tcp
from edge.errors import MeterRefused
from edge.polling.health import BusState
from edge.polling.silence import LineSilence
from tests.edge.polling.test_poller import Bench, device, serial_bus

POLL_S = 10.0


def tcp_bus(**changes: float) -> BusConfig:
    return BusConfig("line1", Tcp("192.0.2.1", 502), **{"timeout_s": 1.0, **changes})


class SteppedBench(Bench):
    """A poller that goes on from step to step, so that a test can change the line in between."""

    async def begin(self, seconds: float) -> None:
        """Start polling, and poll for so long."""
        self.task = asyncio.create_task(self.poller.run())
        self.clock.hold_s = self.clock.now_s
        await self.go_on(seconds)

    async def go_on(self, seconds: float) -> None:
        """Poll for so long."""
        self.clock.hold_s += seconds
        self.clock.is_held = False
        while not self.clock.is_held:
            await asyncio.sleep(0)
            assert not self.task.done(), self.task


def bench_of(bus: BusConfig, units: int, *, poll_s: float = POLL_S, mute: int = 0) -> SteppedBench:
    """Return a line of good units, numbered from 1, and behind them mute ones."""
    bench = SteppedBench(bus, [device(unit, poll_s=poll_s) for unit in range(1, units + mute + 1)])
    bench.line.mute = set(range(units + 1, units + mute + 1))
    return bench


def first_rows_s(bench: Bench, since_s: float) -> dict[str, float]:
    """Return when each meter's first row since an instant was read, counted from it."""
    found: dict[str, float] = {}
    for row in bench.rows:
        at_s = row.taken_monotonic_ns / 1e9
        if at_s > since_s:
            found.setdefault(row.meter, at_s - since_s)
    return found


def longest_gap_s(bench: Bench, meter: str, since_s: float) -> float:
    """Return the longest time between two rows of a meter."""
    instants = [row.taken_monotonic_ns / 1e9 for row in bench.rows if row.meter == meter]
    return max(b - a for a, b in pairwise(at_s for at_s in instants if at_s >= since_s))


@pytest.mark.parametrize(
    ("good", "mute", "poll_s", "timeout_s"),
    [(36, 24, 10.0, 1.0), (1, 0, 10.0, 1.0), (2, 30, 1.0, 0.3), (5, 1, 60.0, 3.0), (30, 30, 10.0, 0.2)],
)
async def test_a_half_open_connection_is_left_within_three_polls_or_30_s(
    good: int, mute: int, poll_s: float, timeout_s: float
) -> None:
    bench = bench_of(tcp_bus(timeout_s=timeout_s), good, poll_s=poll_s, mute=mute)
    await bench.begin(400)
    lost_s = bench.clock.now_s
    bench.line.is_half_open = True
    await bench.go_on(3 * max(poll_s, 30.0))
    back_s = first_rows_s(bench, lost_s)
    assert set(back_s) == {f"m{unit}" for unit in range(1, good + 1)}
    assert max(back_s.values()) <= max(3 * poll_s, 30.0)


async def test_while_a_connection_is_dead_the_line_is_down_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = bench_of(tcp_bus(), 36, mute=24)
    await bench.begin(300)
    bench.line.is_half_open = True
    bench.line.unreachable = 5
    before = bench.line.connects
    with caplog.at_level(logging.INFO, logger="edge"):
        while bench.line.connects < before + 3:
            await bench.go_on(1)
        (bus,) = bench.health.snapshot().buses
        assert bus.state is BusState.DOWN
        await bench.go_on(60)
    said = [record.message for record in caplog.records if record.message.startswith("bus")]
    assert len(said) == 2
    assert "none of its 60 devices answers; check their power and the cable" in said[0]
    assert said[1] == "bus line1 is up (tcp 192.0.2.1:502)"
    assert bench.health.snapshot().buses[0].state is BusState.UP


async def test_a_network_line_whose_meters_are_all_mute_is_not_connected_to_in_a_storm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = bench_of(tcp_bus(), 20)
    await bench.begin(60)
    bench.line.mute = set(range(1, 21))
    with caplog.at_level(logging.INFO, logger="edge"):
        await bench.go_on(3600)
    assert 5 <= bench.line.connects <= 3600 / 60 + 5, "pauses grow"
    assert bench.health.snapshot().buses[0].state is BusState.DOWN
    assert sum(record.message.startswith("bus") for record in caplog.records) == 1
    first_timeouts_s = 2 * 20 * bench.bus.timeout_s
    assert bench.line.mute_s - first_timeouts_s <= 0.06 * 3600, "one more at each reconnect"


@pytest.mark.parametrize("mute", [6, 10])
async def test_a_good_meter_that_loses_one_frame_is_back_soon_beside_mute_ones(mute: int) -> None:
    bench = bench_of(serial_bus(timeout_s=1.0), 4, mute=mute)
    await bench.begin(600)
    begun_s = bench.clock.now_s
    bench.line.lost[2] = 1
    await bench.go_on(300)
    assert longest_gap_s(bench, "m2", begun_s - 30) <= 2 * POLL_S


async def test_a_bad_cable_that_loses_every_fifth_frame_costs_little_beside_mute_meters() -> None:
    bench = bench_of(serial_bus(timeout_s=1.0), 4, mute=6)
    await bench.begin(600)
    jitter, begun_s = random.Random(6), bench.clock.now_s
    for _ in range(180):
        bench.line.lost[2] = jitter.random() < 0.2
        await bench.go_on(POLL_S)
    rows = Counter(row.meter for row in bench.rows if row.taken_monotonic_ns > begun_s * 1e9)
    assert rows["m2"] >= 0.85 * rows["m1"]
    assert rows["m1"] == 180
    assert longest_gap_s(bench, "m2", begun_s) <= 60.0


@pytest.mark.parametrize("is_tcp", [False, True])
@pytest.mark.parametrize("cut_s", [4.0, 8.0, 17.0, 63.0, 600.0, 7200.0])
async def test_after_a_power_cut_the_first_answer_wakes_the_others(cut_s: float, is_tcp: bool) -> None:  # noqa: FBT001 - a table of cases
    bench = bench_of(tcp_bus() if is_tcp else serial_bus(timeout_s=1.0), 20, mute=6)
    mute = set(bench.line.mute)
    await bench.begin(600)
    bench.line.mute |= set(range(1, 21))
    await bench.go_on(cut_s)
    assert (bench.health.snapshot().buses[0].state is BusState.DOWN) == (cut_s > 10)
    bench.line.mute, bench.line.mute_s = mute, 0.0
    power_s = bench.clock.now_s
    await bench.go_on(300)
    back_s = first_rows_s(bench, power_s)
    first_s = min(back_s.values())
    assert first_s <= 30.0
    assert set(back_s) == {f"m{unit}" for unit in range(1, 21)}
    assert max(back_s.values()) <= first_s + 2 * POLL_S
    assert bench.health.snapshot().buses[0].state is BusState.UP
    assert bench.line.mute_s <= 0.05 * 300 + 2, "those mute before the cut keep to their share"


@pytest.mark.parametrize("between_s", [0.3, 1.0])
async def test_meters_that_boot_one_after_the_other_are_all_back_soon(between_s: float) -> None:
    bench = bench_of(serial_bus(timeout_s=1.0), 20, mute=6)
    await bench.begin(600)
    bench.line.mute |= set(range(1, 21))
    await bench.go_on(500)
    power_s = bench.clock.now_s
    for unit in range(20, 0, -1):
        bench.line.mute.discard(unit)
        await bench.go_on(between_s)
    await bench.go_on(100)
    back_s = first_rows_s(bench, power_s)
    assert len(back_s) == 20
    assert max(back_s.values()) <= min(back_s.values()) + 20 * between_s + 2 * POLL_S


async def test_a_meter_repaired_while_its_line_is_silent_is_found() -> None:
    bench = bench_of(serial_bus(timeout_s=1.0), 2, mute=1)
    await bench.begin(600)
    bench.line.mute = {1, 2, 3}
    await bench.go_on(3600)
    bench.line.mute = {1, 2}
    repaired_s = bench.clock.now_s
    await bench.go_on(900)
    assert first_rows_s(bench, repaired_s)["m3"] <= 400


async def test_probes_keep_to_their_share_on_a_line_that_has_fallen_silent() -> None:
    bench = bench_of(serial_bus(timeout_s=1.0), 20, mute=6)
    await bench.begin(600)
    bench.line.mute, bench.line.mute_s = set(range(1, 27)), 0.0
    await bench.go_on(3600)
    assert bench.line.mute_s - 2 * 20 * 1.0 <= 0.05 * 3600


async def test_three_meters_that_die_together_are_not_taken_for_the_line_twice() -> None:
    bench = bench_of(serial_bus(timeout_s=1.0), 10, poll_s=60.0)
    await bench.begin(600)
    bench.line.mute = {8, 9, 10}
    await bench.go_on(3600)
    assert bench.line.mute_s - 3 * 4 * 1.0 <= 0.05 * 3600
    assert bench.health.snapshot().buses[0].state is BusState.UP


@pytest.mark.parametrize("code", [2, 6])
async def test_a_meter_that_refuses_everything_while_it_boots_is_back_soon(code: int) -> None:
    bench = bench_of(serial_bus(timeout_s=1.0), 1, mute=6)
    await bench.begin(600)
    bench.line.errors[1].extend(MeterRefused(2) for _ in range(1))
    bench.line.refused = dict.fromkeys(range(400), code)
    await bench.go_on(20)
    bench.line.refused, booted_s = {}, bench.clock.now_s
    bench.line.errors.clear()
    await bench.go_on(300)
    assert first_rows_s(bench, booted_s)["m1"] <= 20.0


async def test_a_meter_that_refuses_for_ever_is_asked_ever_more_rarely() -> None:
    bench = bench_of(serial_bus(), 1)
    bench.line.refused = dict.fromkeys(range(400), 2)
    await bench.begin(7200)
    asked_s = [at_s for at_s, _, _ in bench.line.asked]
    gaps_s = [b - a for a, b in pairwise(asked_s) if b - a > 1]
    assert gaps_s[0] <= 3.5
    assert all(300 <= gap_s <= 301 for gap_s in gaps_s[-10:])


async def test_a_peer_that_closes_an_idle_connection_makes_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    bench = bench_of(tcp_bus(), 2, poll_s=300.0)
    await bench.begin(100)
    with caplog.at_level(logging.INFO, logger="edge"):
        for _ in range(4):
            bench.line.was_closed_idle = True
            await bench.go_on(300)
    assert caplog.messages == []
    assert bench.line.connects == 5
    assert Counter(row.meter for row in bench.rows) == {"m1": 5, "m2": 5}
    assert bench.health.counters()["line_failures"] == 0


def test_a_lost_frame_is_free_once_and_then_counts() -> None:
    silence = LineSilence(2)
    silence.answered(0)
    silence.answered(1)
    assert silence.failed(0, asked_s=10, now_s=11, poll_s=10, jitter=0) == 3
    assert silence.allowed_s(0) == float("-inf")
    silence.heard(1)
    silence.failed(0, asked_s=14, now_s=15, poll_s=10, jitter=0)
    assert silence.allowed_s(0) < 15, "no probe was spent yet"
    silence.heard(1)
    assert silence.failed(0, asked_s=21, now_s=22, poll_s=10, jitter=0) == 40
    assert 41 <= silence.allowed_s(0) <= 41.5


def test_a_lines_silence_begins_with_that_of_a_good_device() -> None:
    silence = LineSilence(9)
    for number in range(8):
        silence.answered(number)
    silence.failed(8, asked_s=10, now_s=11, poll_s=60, jitter=0)
    for number in range(3):
        assert silence.maybe_since_s is None
        silence.failed(number, asked_s=60 + number, now_s=61 + number, poll_s=60, jitter=0)
    assert silence.maybe_since_s == 60
