"""What the rollup keeps of how far it is: read again as it was written, whatever the store is."""

from pathlib import Path

import pytest

from ingest.intervals.spans import SlotSpan
from ingest.rollup.job import Rollup
from ingest.rollup.series.progress import Asleep, ParkProgress, Progress, ProgressBook
from ingest.store.contract import Store
from metering.quantities import Medium
from metering.series import SLOT_MS, rollup_database
from tests.peers.failing_store import FailingStore
from tests.peers.memory_store import MemoryStore
from tests.peers.small_park import HOUR, MINUTE, T0, SmallPark, small_park_in

IMPORT = "energy_import_wh"


@pytest.fixture(params=["memory", pytest.param("influxdb-1", marks=pytest.mark.servers)])
def park(request: pytest.FixtureRequest, tmp_path: Path) -> SmallPark:
    store: Store = MemoryStore()
    if request.param != "memory":
        store = request.getfixturevalue("influxdb1")
    return small_park_in(store, tmp_path)


def spans(count: int) -> tuple[SlotSpan, ...]:
    return tuple(SlotSpan(2 * i * SLOT_MS, (2 * i + 1) * SLOT_MS) for i in range(count))


def test_nothing_kept_is_nothing_derived(park: SmallPark) -> None:
    assert ProgressBook(park.store, park.name).read() == ({}, ParkProgress(None, None, ()))


def test_what_is_kept_is_read_again_and_replaces_what_was(park: SmallPark) -> None:
    book = ProgressBook(park.store, park.name)
    book.write_meters({"a": Progress(1, 2), "b": Progress(9, 9)})
    book.write_park(ParkProgress(5, 6, spans(3)))
    asleep = {"volume_l": Asleep(7, 8)}
    book.write_meters({"a": Progress(3, 4, 99, asleep)})
    book.write_park(ParkProgress(7, 8, ()))

    meters, kept = book.read()

    assert meters == {"a": Progress(3, 4, None, asleep), "b": Progress(9, 9)}
    assert kept == ParkProgress(7, 8, ())
    assert (
        len(park.store.query(rollup_database(park.name), 'SELECT * FROM "rollup_progress" GROUP BY "meter"'))
        == 3
    )


def test_owed_spans_are_kept_one_by_one_up_to_500_and_then_as_one(park: SmallPark) -> None:
    book = ProgressBook(park.store, park.name)
    book.write_park(ParkProgress(0, 0, spans(500)))
    assert book.read()[1].owed == spans(500)

    book.write_park(ParkProgress(0, 0, spans(501)))

    assert book.read()[1].owed == (SlotSpan(0, 1001 * SLOT_MS),)


def test_a_cycle_with_nothing_due_writes_nothing(park: SmallPark) -> None:
    park.announce("main", Medium.ELECTRICITY, IMPORT)
    park.write("electricity", "main", [(m * MINUTE, {IMPORT: 10.0 * m}) for m in range(61)])
    written: list[str] = []
    store = FailingStore(
        park.store, before=lambda kind, subject: written.append(subject) if kind == "write" else None
    )
    running = Rollup(store, park.park)
    running.cycle(T0 + HOUR + 20_000)
    assert written == [
        "rollup_progress",
        "meter_15m",
        "rollup_progress",
        "park_edition",
        "member",
        "group_15m",
        *(2 * ["rollup_progress"]),
    ]

    written.clear()
    running.cycle(T0 + HOUR + 30_000)
    assert written == []

    park.write("electricity", "main", [(m * MINUTE, {IMPORT: 10.0 * m}) for m in range(61, 76)])
    running.cycle(T0 + HOUR + 15 * MINUTE + 20_000)
    # What is owed, the slots, how far they are; then the groups, and how far these are.
    assert written == [
        "rollup_progress",
        "meter_15m",
        "rollup_progress",
        "member",
        "group_15m",
        *(2 * ["rollup_progress"]),
    ]


@pytest.mark.parametrize(("minutes", "is_asleep"), [(24 * 60, False), (24 * 60 + 1, True)])
def test_a_counter_that_was_not_read_for_more_than_a_day_is_asleep(
    park: SmallPark, minutes: int, *, is_asleep: bool
) -> None:
    export = "energy_export_wh"
    park.announce("main", Medium.ELECTRICITY, IMPORT, export)
    rows = [(m * MINUTE, {IMPORT: 10.0 * m}) for m in (*range(0, 40, 5), *range(45, minutes + 40, 5))]
    both = [(m * MINUTE, {IMPORT: 10.0 * m, export: 5.0}) for m in (35, 40)]
    park.write("electricity", "main", [*rows, *both, ((40 + minutes) * MINUTE, {IMPORT: 90_000.0})])

    park.once((41 + minutes) * MINUTE)

    asleep = ProgressBook(park.store, park.name).read()[0]["main"].asleep
    expected = {export: Asleep(T0 + 30 * MINUTE, T0 + 40 * MINUTE)}
    assert asleep == (expected if is_asleep else {})
