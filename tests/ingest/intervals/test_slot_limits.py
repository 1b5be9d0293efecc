"""Where one verdict of counters, slots and sums ends and the next begins."""

import pytest

from ingest.intervals.counters import HOLD_MS, CounterRules, DoubtfulSpan, unwrap
from ingest.intervals.lone import ALONE_MS, lone_times
from ingest.intervals.slots import MISSING, SlotValue, slot_values, tolerance_ms
from ingest.intervals.zone_use import NO_SLOT, GroupValue, evaluate, sums_at
from metering.park.file import load_park
from metering.park.model import Park
from metering.series import SLOT_MS, GroupField, IntervalQuality, Level

MINUTE = 60_000
MEASURED, ESTIMATED, SUSPECT, INTERPOLATED = (
    IntervalQuality.MEASURED,
    IntervalQuality.ESTIMATED,
    IntervalQuality.SUSPECT,
    IntervalQuality.INTERPOLATED,
)
M = 65_536


@pytest.mark.parametrize(
    ("before", "after", "is_rollover"),
    [
        (62_000, 30_000, False),
        (62_000, 9571, True),  # 13,107 of at most 13,107.2
        (62_000, 9572, False),
        (58_982, 100, False),  # 0.9 M = 58,982.4
        (58_983, 100, True),
        (65_535, 0, True),
        (65_536, 0, False),  # never shown
        (65_536, 100, False),
        (100, 100, False),
    ],
)
def test_what_is_a_rollover(before: int, after: int, is_rollover: bool) -> None:  # noqa: FBT001 - a table
    assert CounterRules(modulus=M).is_rollover(before, after) is is_rollover
    assert CounterRules().is_rollover(before, after) is False


def test_a_fall_that_is_no_rollover_counts_nothing() -> None:
    series = unwrap([(0, 62_000), (MINUTE, 30_000), (2 * MINUTE, 30_010)], CounterRules(modulus=M))

    assert list(series.totals) == [62_000, 62_000, 62_010]
    assert series.doubtful_spans == (DoubtfulSpan(0, MINUTE, SUSPECT),)


@pytest.mark.parametrize(("before", "after", "quality"), [(5000, 49, ESTIMATED), (5000, 50, SUSPECT)])
def test_what_is_a_reset(before: int, after: int, quality: IntervalQuality) -> None:
    series = unwrap([(0, before), (MINUTE, after)], CounterRules())

    assert series.doubtful_spans == (DoubtfulSpan(0, MINUTE, quality),)
    assert series.totals[-1] - series.totals[0] == (after if quality is ESTIMATED else 0)


@pytest.mark.parametrize(
    ("step", "fall", "is_jitter"), [(1, 2, True), (1, 3, False), (10, 20, True), (10, 21, False)]
)
def test_what_is_jitter(step: int, fall: int, is_jitter: bool) -> None:  # noqa: FBT001 - a table
    assert (
        unwrap([(0, 5000), (MINUTE, 5000 - fall)], CounterRules(step=step)).doubtful_spans == ()
    ) is is_jitter


def test_a_spike_may_end_at_the_very_value_before_it() -> None:
    series = unwrap([(0, 5000), (MINUTE, 9000), (2 * MINUTE, 5000), (3 * MINUTE, 5001)], CounterRules())

    assert (list(series.totals), series.rejected, series.doubtful_spans) == ([5000, 5000, 5001], 1, ())


def test_a_value_is_held_for_half_an_hour_and_not_longer() -> None:
    reads = [(0, 100), (HOLD_MS, 99), (HOLD_MS + 1, 99), (HOLD_MS + 2, 101)]

    assert unwrap(reads, CounterRules()).totals == [100, 100, 99, 101]


@pytest.mark.parametrize(
    ("poll_ms", "expected_ms"),
    [(10_000, 20_000), (60_000, 120_000), (89_999, 179_998), (90_001, 180_000), (900_000, 180_000)],
)
def test_the_tolerance_is_two_polls_and_at_most_three_minutes(poll_ms: int, expected_ms: int) -> None:
    assert tolerance_ms(poll_ms) == expected_ms


@pytest.mark.parametrize(("off_ms", "quality"), [(20_000, MEASURED), (20_001, INTERPOLATED)])
@pytest.mark.parametrize("is_end", [False, True])
def test_a_slot_is_measured_up_to_the_tolerance(
    off_ms: int, quality: IntervalQuality, *, is_end: bool
) -> None:
    begin = [(0, 0)] if is_end else [(-off_ms, 0), (off_ms, 5)]
    end = [(SLOT_MS - off_ms, 90), (SLOT_MS + off_ms, 100)] if is_end else [(SLOT_MS, 100)]

    (slot,) = slot_values(
        unwrap([*begin, *end], CounterRules()), start_ms=0, stop_ms=SLOT_MS, tolerance_ms=tolerance_ms(10_000)
    )

    assert slot.quality is quality


def test_no_reads_are_no_values() -> None:
    found = slot_values(unwrap([], CounterRules()), start_ms=0, stop_ms=2 * SLOT_MS, tolerance_ms=1)

    assert found == [MISSING, MISSING]


def test_a_flaw_marks_the_slots_that_it_reaches_into_and_the_worst_counts() -> None:
    reads = [(t, 1000 + t // MINUTE) for t in range(0, 5 * SLOT_MS + 1, MINUTE)]
    series = unwrap(reads, CounterRules())
    doubtful_spans = (
        DoubtfulSpan(SLOT_MS, 2 * SLOT_MS, SUSPECT),
        DoubtfulSpan(SLOT_MS + 1, 2 * SLOT_MS + 1, ESTIMATED),
    )
    doubtful_slots = type(series)(series.times_ms, series.totals, doubtful_spans)

    found = slot_values(doubtful_slots, start_ms=0, stop_ms=5 * SLOT_MS, tolerance_ms=0)

    assert [one.quality for one in found] == [MEASURED, SUSPECT, ESTIMATED, MEASURED, MEASURED]


def test_reads_that_stand_alone() -> None:
    assert lone_times([]) == []
    assert lone_times([(5, 1)]) == [5]
    assert lone_times([(0, 1), (ALONE_MS, 2)]) == []
    assert lone_times([(ALONE_MS + 1, 2), (0, 1)]) == [0, ALONE_MS + 1]
    assert lone_times([(0, 1), (1, 1), (2 + ALONE_MS, 2), (3 + 2 * ALONE_MS, 3), (3 + 3 * ALONE_MS, 3)]) == [
        2 + ALONE_MS
    ]
    assert ALONE_MS == 62 * 86_400_000


@pytest.fixture(scope="module")
def park(tmp_path_factory: pytest.TempPathFactory) -> Park:
    path = tmp_path_factory.mktemp("park") / "park.yaml"
    path.write_text(
        "park: demo\nname: Demo\ntimezone: UTC\nzones: {a: {name: A}}\n"
        "meters:\n  one: {medium: electricity, place: a}\n  two: {medium: electricity, place: a}\n",
        encoding="utf-8",
    )
    return load_park(path)


def use(park: Park, slots: dict[str, dict[str, SlotValue]]) -> GroupValue | None:
    (zone,) = (one for one in sums_at(park, 0) if one.level is Level.ZONE)
    return evaluate(next(one for one in zone.sums if one.name is GroupField.ELECTRICITY_USE), slots)


@pytest.mark.parametrize("slot", [{"reactive_energy_import_varh": SlotValue(5, MEASURED)}, dict(NO_SLOT)])
def test_a_slot_with_neither_import_nor_export_is_missing(park: Park, slot: dict[str, SlotValue]) -> None:
    found = use(park, {"one": {"energy_import_wh": SlotValue(500, MEASURED)}, "two": slot})

    assert found == GroupValue(None, IntervalQuality.MISSING, 0.5)


@pytest.mark.parametrize(("quantity", "expected"), [("energy_import_wh", 500), ("energy_export_wh", -500)])
def test_a_slot_with_one_direction_counts_that_one(park: Park, quantity: str, expected: int) -> None:
    assert use(park, {"one": {quantity: SlotValue(500, MEASURED)}}) == GroupValue(expected, MEASURED, 1.0)
