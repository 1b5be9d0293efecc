"""What can be said of the measurements without measuring: their arithmetic and their table."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.drivers.line_timing import LineTiming
from edge.drivers.modbus.plan import Block, block_time_s
from edge.drivers.modbus.profile import Function
from tests.bench.__main__ import main
from tests.bench.bus_use import BAUD, PARITY, STOP_BITS, needed_s
from tests.bench.figure import Bench, Figure, Unmeasured, percentile
from tests.bench.machine import describe
from tests.bench.page import page, renewed
from tests.bench.suite import SUITE
from tests.bench.table import HEAD, RULE, line, table

FIGURES = (
    Figure("Ingest, per core", 1_234_567.8, "values/CPU-s", "by hand", ">= 250,000 values/s"),
    Figure("Reading to queryable, median", 0.2345, "s", "by hand"),
)


def test_the_table_fits_a_terminal() -> None:
    assert len(RULE) == 80
    assert all(len(one) <= 80 for one in table(FIGURES).splitlines())
    assert HEAD.split() == ["figure", "measured", "target"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1_234_567.8, "1,230,000 s"), (99.94, "99.9 s"), (0.000123456, "0.000123 s"), (0.0, "0 s")],
)
def test_a_figure_has_three_digits(value: float, text: str) -> None:
    assert Figure("x", value, "s", "by hand").measured == text


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [
        (48.0, "<= 48 MB RSS", True),
        (48.1, "<= 48 MB RSS", False),
        (1.0, "p99 <= 1 s", True),
        (249_999.0, ">= 250,000 values/s", False),
        (250_000.0, ">= 250,000 values/s", True),
        (1.0, "minutes", None),
        (1.0, "", None),
    ],
)
def test_a_target_with_a_bound_is_met_or_missed(value: float, target: str, met: bool | None) -> None:  # noqa: FBT001 - a table of cases
    assert Figure("x", value, "s", "by hand", target).maybe_met is met


def test_the_page_says_what_is_missed() -> None:
    text = page("2026-01-01", [], [("size", [Figure("x", 53.6, "MB", "by hand", "<= 48 MB")])], [])
    assert "**53.6 MB**, missed" in text


def test_a_line_has_no_trailing_blanks() -> None:
    assert line(FIGURES[1]) == line(FIGURES[1]).rstrip()


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_percentiles_are_values_that_occurred(share: float, expected: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == expected


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


@pytest.mark.parametrize("registers", [1, 40, 125])
def test_the_time_that_a_line_needs_is_that_which_the_planner_predicts(registers: int) -> None:
    planned = LineTiming.serial(baud=BAUD, parity=PARITY, stop_bits=STOP_BITS)
    predicted_s = block_time_s(Block(Function.INPUT, 0, registers), planned, answer_delay_s=0.07)
    assert needed_s(registers, BAUD, 0.07) == pytest.approx(predicted_s)


def test_the_page_has_every_figure_and_the_machine() -> None:
    text = page("2026-01-01", describe(), [("speed", FIGURES)], [Unmeasured("Later", "<= 1 s", "not built")])
    for figure in FIGURES:
        assert figure.measured in text
    assert "| Cores |" in text
    assert "| Later | <= 1 s | not built |" in text


def test_each_measurement_has_a_name_of_its_own_and_help_tells_it() -> None:
    names = [bench.name for bench in SUITE]
    assert len(set(names)) == len(names)
    told = CliRunner().invoke(main, ["--help"])
    assert told.exit_code == 0
    assert all(name in told.output for name in names)


def test_a_single_measurement_takes_the_place_of_its_section_and_says_when_it_was_made() -> None:
    whole = page(
        "2026-01-01", [], [("speed", FIGURES), ("size", FIGURES)], [Unmeasured("Later", "", "not built")]
    )
    new = Figure("Recovery", 12.7, "s", "by hand")

    once = renewed(whole, "Measured on 2026-02-02.", [("speed", [new]), ("recovery", [new])])

    speed, size, recovery, later = once.split("\n## ")[2:]
    assert speed.startswith("Speed\n\nMeasured on 2026-02-02.\n\n| figure")
    assert "12.7 s" in speed
    assert FIGURES[0].measured not in speed
    assert FIGURES[0].measured in size
    assert recovery.startswith("Recovery\n\nMeasured on 2026-02-02.")
    assert later.startswith("Not measured")
    assert renewed(once, "Measured on 2026-02-02.", [("speed", [new])]) == once


def test_a_measurement_is_a_function_of_a_folder(tmp_path: Path) -> None:
    bench = Bench("x", "nothing", lambda _folder: iter(FIGURES))
    assert tuple(bench.measure(tmp_path)) == FIGURES
