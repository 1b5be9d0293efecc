"""Judging rows, without I/O."""

import math
import struct
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.validation.rows import (
    MAX_AHEAD_MS,
    MAX_CACHED_BYTES,
    MAX_CACHED_SETS,
    Columns,
    RowReason,
    ValidatedRows,
    Vocabulary,
)
from metering.messages.data import MAX_COLUMNS
from metering.quantities import VOCABULARY, Medium
from metering.readings import EARLIEST_MS, ReadingFlag

NOW_MS = 1_790_000_000_000
NAMES = ("energy_import_wh", "active_power_w", "power_factor")


def admit_all(_meter: str, _taken_at_ms: int) -> RowReason | None:
    return None


def validate(rows: list[Any], names: tuple[str, ...] = NAMES) -> ValidatedRows:
    validated = ValidatedRows()
    Columns("demo", Medium.ELECTRICITY, names, VOCABULARY).validate(rows, 0, admit_all, NOW_MS, validated)
    return validated


def only_line(row: list[Any], names: tuple[str, ...] = NAMES) -> str:
    validated = validate([row], names)
    assert validated.refused == []
    return validated.stored[0].line.decode()


def test_a_good_row_becomes_its_line() -> None:
    line = only_line(["m-1", NOW_MS, 4, 2**53, -1.25, 1])
    assert line == (
        "electricity,meter=m-1,park=demo quality=4i,energy_import_wh=9007199254740992.0,"
        "active_power_w=-1.25,power_factor=1.0 1790000000000"
    )


def test_a_row_of_nothing_but_nulls_is_stored_with_its_quality() -> None:
    assert (
        only_line(["m-1", NOW_MS, 1, None, None, None])
        == "electricity,meter=m-1,park=demo quality=1i 1790000000000"
    )


@pytest.mark.parametrize(
    ("taken_at_ms", "is_good"),
    [
        (EARLIEST_MS - 1, False),
        (EARLIEST_MS, True),
        (NOW_MS + MAX_AHEAD_MS, True),
        (NOW_MS + MAX_AHEAD_MS + 1, False),
    ],
)
def test_time_is_judged_against_2020_and_five_minutes_after_receipt(taken_at_ms: int, is_good: bool) -> None:  # noqa: FBT001 - a column of the table
    validated = validate([["m-1", taken_at_ms, 0, 1, None, None]])
    assert [row.reason for row in validated.refused] == ([] if is_good else [RowReason.ABSURD_TIME])


def test_rows_of_a_meter_may_go_back_in_time() -> None:
    """The order is no promise: a gateway whose clock was set back by a day goes on with true times."""
    times = [NOW_MS, NOW_MS - 86_400_000, NOW_MS - 86_399_000, NOW_MS - 86_400_000]
    validated = validate([["m-1", time_ms, 0, 1, None, None] for time_ms in times])
    assert validated.refused == []
    assert [row.taken_at_ms for row in validated.stored] == times


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        ("230", ReadingFlag.NOT_A_NUMBER),
        (True, ReadingFlag.NOT_A_NUMBER),
        (math.nan, ReadingFlag.NOT_A_NUMBER),
        ({}, ReadingFlag.NOT_A_NUMBER),
        (math.inf, ReadingFlag.OUT_OF_RANGE),
        (1.0001, ReadingFlag.OUT_OF_RANGE),
        (-(10**400), ReadingFlag.OUT_OF_RANGE),
    ],
)
def test_a_bad_value_is_nulled_alone_and_counted(value: Any, flag: ReadingFlag) -> None:  # noqa: ANN401 - anything
    validated = validate([["m-1", NOW_MS, 0, 7, 1.5, value]])
    assert validated.bad_values == Counter({flag: 1})
    assert validated.stored[0].line.startswith(
        b"electricity,meter=m-1,park=demo quality=%di,energy_import_wh=7.0,active_power_w=1.5 " % flag
    )


@pytest.mark.parametrize(("value", "is_whole"), [(12, True), (12.0, True), (1e3, True), (12.7, False)])
def test_a_counter_is_a_whole_number_or_nulled(value: float, is_whole: bool) -> None:  # noqa: FBT001 - a column of the table
    validated = validate([["m-1", NOW_MS, 0, value, 1.5, None]])
    line = validated.stored[0].line
    assert (b"energy_import_wh=%b," % str(float(value)).encode() in line) is is_whole
    assert (b"quality=%di" % (0 if is_whole else ReadingFlag.NOT_WHOLE) in line) is True
    assert validated.bad_values == ({} if is_whole else {ReadingFlag.NOT_WHOLE: 1})
    assert b"active_power_w=1.5" in line


def test_of_two_rows_of_one_meter_and_instant_the_second_is_set_aside() -> None:
    validated = validate(
        [
            ["m-1", NOW_MS, 0, 12, 1.5, None],
            ["m-1", NOW_MS, 0, 13, 1.5, None],
            ["m-2", NOW_MS, 0, 13, 1.5, None],
            ["m-1", NOW_MS - 1, 0, 13, 1.5, None],
            ["m-1", NOW_MS, 0, 12, 1.5, None],
        ]
    )
    assert validated.refused == [(1, RowReason.SAME_INSTANT, "m-1")]
    # The same row twice is one point, and each of the two is stored.
    assert [row.position for row in validated.stored] == [0, 2, 3, 4]


def test_bits_of_ingest_are_its_own_and_those_of_the_gateway_stay() -> None:
    gateway_bits = ReadingFlag.CLOCK_UNSYNCHRONISED | 2**20
    claimed = gateway_bits | ReadingFlag.UNKNOWN_QUANTITY
    assert f"quality={int(gateway_bits)}i" in only_line(["m-1", NOW_MS, int(claimed), 1, None, None])


def test_a_quantity_of_another_medium_is_unknown() -> None:
    line = only_line(["m-1", NOW_MS, 0, 1, 2], ("energy_import_wh", "volume_l"))
    assert line == f"electricity,meter=m-1,park=demo quality=1024i,energy_import_wh=1.0 {NOW_MS}"


def test_an_unknown_quantity_that_was_not_read_sets_no_bit() -> None:
    assert "quality=0i" in only_line(["m-1", NOW_MS, 0, 1, None], ("energy_import_wh", "nonsense"))


def test_columns_are_prepared_once_and_bounded() -> None:
    vocabulary = Vocabulary("demo", VOCABULARY)
    first = vocabulary.maybe_columns("electricity", NAMES)
    assert first is not None
    assert first is vocabulary.maybe_columns("electricity", NAMES)
    assert vocabulary.maybe_columns("steam", NAMES) is None
    for number in range(5000):
        vocabulary.maybe_columns("electricity", (f"x{number}",))
    assert len(vocabulary._columns) <= MAX_CACHED_SETS


def test_the_cache_of_columns_is_bounded_in_bytes() -> None:
    vocabulary = Vocabulary("demo", VOCABULARY)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(150):
        names = tuple(f"{number:04}-{column:04}".ljust(1000, "x") for column in range(MAX_COLUMNS))
        vocabulary.maybe_columns("electricity", names)
        assert vocabulary.cached_bytes <= MAX_CACHED_BYTES
    vocabulary.maybe_columns("electricity", ("x" * 1_000_000,))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 2 * MAX_CACHED_BYTES


def test_a_small_set_is_not_larger_than_the_cache_says() -> None:
    vocabulary = Vocabulary("demo", VOCABULARY)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(1000):
        vocabulary.maybe_columns("electricity", (f"x{number}", f"y{number}"))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1.5 * vocabulary.cached_bytes


def test_a_meter_of_a_refused_row_is_cut_to_a_bounded_length() -> None:
    (refused,) = validate([["m" * 100_000, NOW_MS]]).refused
    assert len(refused.meter) <= 100


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
NEARLY = st.tuples(
    st.sampled_from(["m-1", 7]),
    st.integers(NOW_MS - 9, NOW_MS) | JSON,
    st.integers(0, 9) | JSON,
    JSON,
    JSON,
    JSON,
).map(list)


@given(st.lists(JSON | NEARLY, max_size=6))
def test_whatever_the_rows_each_is_stored_or_refused_in_one_place(rows: list[Any]) -> None:
    validated = validate(rows)
    positions = [row.position for row in validated.stored] + [row.position for row in validated.refused]
    assert sorted(positions) == list(range(len(rows)))
    assert all(b"\n" not in row.line for row in validated.stored)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-4e8, max_value=4e8))
def test_a_value_is_written_exactly(value: float) -> None:
    line = only_line(["m-1", NOW_MS, 0, None, value, None])
    written = float(line.split("active_power_w=")[1].split(" ")[0])
    assert struct.pack("d", written) == struct.pack("d", value)
