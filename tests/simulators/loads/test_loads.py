"""Loads and history of the demo's park: sums, agreement with the registers, one line from history to live."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from metering.errors import ConfigError
from metering.readings import RowBlock
from metering.series import SLOT_MS
from simulators.demo.site import PARKS
from simulators.gateways.history import STEP_MS, HistorySpan, historic_meters
from simulators.loads.flows import Load, build_loads, default_origin_ms
from simulators.loads.shapes import Calendar
from simulators.wires import Wires, load_wires

DAY_MS = 86_400_000
NOW_MS = int(datetime(2026, 3, 30, 12, 34, 56, tzinfo=UTC).timestamp() * 1000)
ORIGIN_MS = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def wires() -> Wires:
    return load_wires(PARKS / "demo" / "sim.yaml")


def loads_over(wires: Wires, days: int) -> dict[str, Load]:
    meters = [meter for gateway in wires.gateways for meter in gateway.meter_ids]
    return build_loads(wires.loads, meters, Calendar(ORIGIN_MS, days, wires.timezone))


@pytest.fixture(scope="module")
def loads(wires: Wires) -> dict[str, Load]:
    return loads_over(wires, 31)


def test_main_meters_agree_with_their_sub_meters(wires: Wires, loads: dict[str, Load]) -> None:
    """Each slot's net energy is that of the parts, plus the main meter's own rest, which is never negative."""
    for meter, entry in wires.loads.items():
        if not entry.sum:
            continue
        for at_ms in range(ORIGIN_MS + 20 * DAY_MS, ORIGIN_MS + 21 * DAY_MS, SLOT_MS):
            rest = net(loads[meter], at_ms) - sum(net(loads[part], at_ms) for part in entry.sum)
            assert rest >= 0
            most = max(loads[meter].at(at_ms + SLOT_MS).imported - loads[meter].at(at_ms).imported, 1000.0)
            assert rest <= 2 * most


def net(load: Load, at_ms: int) -> float:
    before, after = load.at(at_ms), load.at(at_ms + SLOT_MS)
    return (after.imported - before.imported) - (after.exported - before.exported)


def test_the_same_instant_has_the_same_values_however_far_ahead_is_built(wires: Wires) -> None:
    longer, shorter = loads_over(wires, 33), loads_over(wires, 31)
    for meter in longer:
        at_ms = ORIGIN_MS + 29 * DAY_MS + 4_711_000
        assert longer[meter].at(at_ms).imported == pytest.approx(shorter[meter].at(at_ms).imported)


def test_pv_gives_by_day_only(loads: dict[str, Load]) -> None:
    noon_ms = int(datetime(2026, 3, 21, 11, tzinfo=UTC).timestamp() * 1000)
    assert loads["z1-pv"].at(noon_ms).rate < -1000
    assert loads["z1-pv"].at(noon_ms + 12 * 3_600_000).rate == 0


def test_water_flows_all_day(loads: dict[str, Load]) -> None:
    for hour in range(24):
        assert loads["z3-water"].at(ORIGIN_MS + 5 * DAY_MS + hour * 3_600_000).rate > 0


def test_a_park_begins_before_any_history() -> None:
    for days in (2, 60, 500, 1000):
        assert default_origin_ms(NOW_MS, days=days) <= NOW_MS - (days + 2) * DAY_MS


@pytest.mark.parametrize("days", [2, 60])
def test_history_ends_before_the_first_live_row_at_whole_steps(days: int) -> None:
    span = HistorySpan(NOW_MS, days)
    instants = [instant for chunk in span.chunks for instant in chunk]
    assert instants == list(span.instants)
    assert all(instant % STEP_MS == 0 for instant in instants)
    assert NOW_MS - STEP_MS <= instants[-1] < NOW_MS
    assert {later - earlier for earlier, later in pairwise(instants)} == {STEP_MS}
    assert instants[-1] - instants[0] == days * DAY_MS


def test_history_ends_before_a_live_row_at_a_whole_step() -> None:
    live_ms = NOW_MS // STEP_MS * STEP_MS
    assert HistorySpan(live_ms, 2).instants[-1] == live_ms - STEP_MS


def test_history_of_every_meter_is_what_its_registers_say(wires: Wires, loads: dict[str, Load]) -> None:
    span = HistorySpan(NOW_MS, 2)
    instants = span.instants[:3]
    seen: set[str] = set()
    for gateway in wires.gateways:
        for meter in historic_meters(gateway, loads):
            block = meter.block(instants)
            seen.add(meter.name)
            check_block(block, loads[meter.name])
    assert seen == set(wires.loads)


def check_block(block: RowBlock, load: Load) -> None:
    for row in block.rows:
        assert row.quality == 0
        shown = dict(zip(block.quantities, row.values, strict=True))
        flow = load.at(row.taken_at_ms)
        is_water = "volume_l" in shown
        counter = shown["volume_l" if is_water else "energy_import_wh"]
        assert counter is not None
        # Float registers of kWh and steps of 0.1 kWh through a transformer of 120.
        assert counter == pytest.approx(flow.imported * (1000 if is_water else 1), rel=2e-7, abs=12_000)


def test_a_meter_without_a_load_is_refused(tmp_path: Path) -> None:
    for source in (PARKS / "demo").glob("*.yaml"):
        (tmp_path / source.name).write_text(source.read_text())
    text = (tmp_path / "sim.yaml").read_text()
    (tmp_path / "sim.yaml").write_text(
        text.replace("  z4-cafe-water: {", "  z4-other: {").replace(", z4-cafe-water]", "]")
    )
    with pytest.raises(ConfigError, match="z4-cafe-water"):
        load_wires(tmp_path / "sim.yaml")
