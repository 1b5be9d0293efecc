"""What a demo's report says, and what it does not let pass."""

from dataclasses import replace

import pytest

from metering.messages.status import EpochAccount
from simulators.demo.report import Outcome, ZoneFigures, find_problems, report
from simulators.gateways.accounts import RowAccount

EPOCH = "0123456789abcdef"
ACCOUNT = EpochAccount(EPOCH, read=1_234_567, stored=1_234_567, quarantined=0, held=0, dropped=0)
GOOD = Outcome(
    day="Sun 22 Nov 2026, Europe/Ljubljana",
    zones={"z1": "Production (simulated)", "z2": "A zone with a name that is longer than any table"},
    figures={
        "z1": ZoneFigures(use_kwh=12_345.6, peak_kw=987.6, water_m3=123.4, power_kw=345.6, flow_m3h=1.25),
        "z2": ZoneFigures(use_kwh=5.0, peak_kw=0.6, power_kw=-0.1),
    },
    with_water=frozenset({"z1"}),
    accounts=(RowAccount("gw-1 live", "gw-1", ACCOUNT),),
    stored={"gw-1": 1_234_567},
)


def test_a_good_outcome_says_so_within_80_columns() -> None:
    text = report(GOOD)
    assert "Nothing was lost, and every zone has data." in text
    assert max(map(len, text.splitlines())) <= 80
    assert "12,345.6" in text


def with_account(**changes: int) -> Outcome:
    return replace(GOOD, accounts=(RowAccount("gw-1 live", "gw-1", replace(ACCOUNT, **changes)),))


def with_zone(**changes: float | None) -> Outcome:
    return replace(GOOD, figures={**GOOD.figures, "z1": replace(GOOD.figures["z1"], **changes)})


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (with_account(stored=1_234_566), "1 rows are unaccounted for"),
        (with_account(stored=1_234_560, dropped=7), "7 rows were dropped"),
        (with_account(stored=1_234_560, quarantined=7), "7 rows are in quarantine"),
        (with_account(stored=1_234_560, held=7), "7 rows are still held"),
        (with_account(read=0, stored=0), "nothing was read"),
        (replace(GOOD, stored={"gw-1": 1_234_566}), "InfluxDB has 1234566"),
        (replace(GOOD, stored={}), "InfluxDB has 0"),
        (with_zone(use_kwh=None), "z1 (Production (simulated)) has no electricity"),
        (with_zone(use_kwh=0.0), "has no electricity"),
        (with_zone(water_m3=None), "has no water"),
        (with_zone(power_kw=None), "has no live power"),
        (replace(GOOD, figures={"z1": GOOD.figures["z1"]}), "zone z2"),
    ],
)
def test_each_lack_is_a_problem(outcome: Outcome, problem: str) -> None:
    assert any(problem in one for one in find_problems(outcome)), list(find_problems(outcome))
    assert f"PROBLEM: {next(find_problems(outcome))}" in report(outcome)
