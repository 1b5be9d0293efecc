"""The rollup on a real InfluxDB after interruptions, and with data that nobody should have sent."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.rollup.job import Rollup
from ingest.store.contract import Store
from ingest.store.line_protocol import Field, encode_point
from ingest.validation.announcements import Announcement, encode_announcement
from metering.messages.birth import CounterFacts, MeterFacts
from metering.quantities import Medium
from metering.series import SLOT_MS, raw_database
from tests.peers.small_park import HOUR, MINUTE, T0, SmallPark, small_park_in

pytestmark = pytest.mark.servers

IMPORT, VOLUME = "energy_import_wh", "volume_l"
USE = "electricity_use_wh"
DAY = 24 * HOUR


@pytest.fixture
def park(tmp_path: Path, any_store: Store) -> SmallPark:
    return small_park_in(any_store, tmp_path)


def rising(park: SmallPark, meter: str, times_ms: range, *, per_minute: int = 10) -> None:
    rows = [(t, {IMPORT: float(10_000 + t // MINUTE * per_minute)}) for t in times_ms]
    park.write("electricity", meter, rows)


class Interrupted(Exception):
    """The process is told to stop."""


def stopping_after(calls: int) -> Callable[[], None]:
    """Return a `check_stop` that raises at a later call."""
    left = [calls]

    def check_stop() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Interrupted

    return check_stop


@pytest.mark.parametrize("calls", [1, 2])
def test_a_first_run_that_is_interrupted_anywhere_leaves_no_group_behind(park: SmallPark, calls: int) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT, poll_s=900)
    park.announce("press", Medium.ELECTRICITY, IMPORT, poll_s=900)
    rising(park, "main", range(0, 3 * DAY, SLOT_MS))
    rising(park, "press", range(2 * DAY, 3 * DAY, SLOT_MS))
    now_ms = T0 + 3 * DAY + HOUR
    first = Rollup(park.store, park.park, check_stop=stopping_after(calls))
    with pytest.raises(Interrupted):
        first.cycle(now_ms, is_patient=False)

    Rollup(park.store, park.park).cycle(now_ms, is_patient=False)

    meters, groups = park.values(IMPORT, meter="main"), park.values(USE, "group_15m", level="park")
    # Meters polled every 15 min wait for 31 min before a slot is given up, groups for 5.
    assert meters.keys() == set(range(289))
    assert groups == {**meters, 289: None, 290: None}


def test_late_notices_of_a_part_do_not_hide_the_beginning_of_a_new_meter(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT, poll_s=60)
    rising(park, "main", range(0, 6 * HOUR + 1, MINUTE))
    park.notice("main", from_ms=5 * HOUR, to_ms=6 * HOUR, at_ms=7 * HOUR - MINUTE)

    park.once(7 * HOUR)

    assert set(range(24)) <= park.values(IMPORT, meter="main").keys()


def test_a_meter_whose_readings_were_deleted_holds_up_no_group(park: SmallPark) -> None:
    for meter in ("main", "press"):
        park.announce(meter, Medium.ELECTRICITY, IMPORT)
        rising(park, meter, range(0, HOUR + 1, MINUTE))
    park.once(HOUR)
    all_time = {"start_ms": T0, "stop_ms": T0 + 2 * HOUR}
    park.store.delete(raw_database(park.name), "electricity", tags={"meter": "press"}, **all_time)
    rising(park, "main", range(HOUR, 2 * HOUR + 1, MINUTE))

    park.once(2 * HOUR)

    assert park.values(USE, "group_15m", level="zone", group="north").keys() == set(range(8))


def test_a_row_of_another_medium_does_not_end_a_meter(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, "main", range(0, HOUR + 1, MINUTE))
    park.write("water", "main", [(30 * MINUTE, {VOLUME: 5.0})])

    park.once(HOUR)

    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(4), 150)


def test_a_meter_that_counts_nothing_is_a_member_all_the_same(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    rising(park, "main", range(0, HOUR + 1, MINUTE))
    park.write("electricity", "press", [(20 * MINUTE, {"active_power_w": 5.0})])
    park.write("environment", "thermometer", [(50 * MINUTE, {"temperature_c": 5.0})])

    park.once(HOUR)

    assert park.points("member", level="zone", meter="press").keys() == {1}
    assert park.points("member", level="unassigned", meter="thermometer").keys() == {3}


def test_another_gateways_announcement_does_not_say_how_a_meter_counts(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    wrong = MeterFacts("m", "p", Medium.ELECTRICITY, 60, counters={IMPORT: CounterFacts(1, 100_000)})
    line = encode_announcement(park.name, Announcement("gw-2", "main", T0 + 1, wrong))
    park.store.write(raw_database(park.name), line)
    reads = [(t, {IMPORT: 99_000.0 + t / MINUTE}) for t in range(0, 31 * MINUTE, MINUTE)]
    park.write("electricity", "main", reads)
    # Exchanged for a new device: no rollover.
    park.write(
        "electricity", "main", [(t, {IMPORT: t / MINUTE}) for t in range(31 * MINUTE, 61 * MINUTE, MINUTE)]
    )

    park.once(HOUR)

    assert sum(value or 0 for value in park.values(IMPORT, meter="main").values()) < 200


@pytest.mark.parametrize("counters", ['{"energy_import_wh": {"step": null, "modulus": null}}', "[]", "{"])
def test_a_point_of_meters_that_makes_no_sense_stops_nothing(park: SmallPark, counters: str) -> None:
    fields: dict[str, Field | None] = {
        "model": "m",
        "profile": "p",
        "medium": "electricity",
        "poll_s": 60.0,
        "counters": counters,
    }
    tags = (("gateway", "gw-1"), ("meter", "main"), ("park", park.name))
    park.store.write(raw_database(park.name), encode_point("meters", tags, fields, T0))
    rising(park, "main", range(0, HOUR + 1, MINUTE))

    park.once(HOUR)

    assert park.values(IMPORT, meter="main") == dict.fromkeys(range(4), 150)


def test_an_hourly_meters_spike_is_judged_alike_at_any_time(tmp_path: Path, any_store: Store) -> None:
    live, at_once = small_park_in(any_store, tmp_path), small_park_in(any_store, tmp_path)
    reads = [(hour * HOUR + 5 * MINUTE, {IMPORT: 10_000.0 + 100 * hour}) for hour in range(12)]
    reads[4] = (reads[4][0], {IMPORT: 5_000_000.0})
    for one in (live, at_once):
        one.announce("main", Medium.ELECTRICITY, IMPORT, poll_s=3600)
    running = Rollup(live.store, live.park)
    for time_ms, values in reads:
        live.write("electricity", "main", [(time_ms, values)])
        running.cycle(T0 + time_ms + 12 * MINUTE)
    at_once.write("electricity", "main", reads)

    running.cycle(T0 + 11 * HOUR + 20 * MINUTE)
    at_once.once(11 * HOUR + 20 * MINUTE)

    assert live.values(IMPORT, meter="main") == at_once.values(IMPORT, meter="main")
