"""The report at the end of a demo: zones' figures, accounts of rows, and what is missing. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from simulators.gateways.accounts import RowAccount

_NAME_WIDTH = 30
# Printed once, above the table.
_SIMULATED = " (simulated)"


@dataclass(frozen=True, slots=True)
class ZoneFigures:
    """A zone's figures; `None` = there is none.

    Attributes:
        use_kwh: Electricity used in the span.
        peak_kw: Highest mean power of 15 minutes.
        water_m3: Water used in the span.
        power_kw: Use now.
        flow_m3h: Flow now.
    """

    use_kwh: float | None = None
    peak_kw: float | None = None
    water_m3: float | None = None
    power_kw: float | None = None
    flow_m3h: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The data of a report.

    Attributes:
        day: The day of the figures, as text.
        zones: Display name per zone id.
        figures: Figures per zone id.
        with_water: Zones that have water.
        accounts: Rows as counted by the senders.
        stored: Rows as counted by InfluxDB, by gateway.
    """

    day: str
    zones: Mapping[str, str]
    figures: Mapping[str, ZoneFigures]
    with_water: frozenset[str]
    accounts: Sequence[RowAccount]
    stored: Mapping[str, int]


def report(outcome: Outcome) -> str:
    """Return the tables and the verdict, at most 80 columns wide."""
    problems = tuple(find_problems(outcome))
    verdict = [f"PROBLEM: {problem}" for problem in problems]
    if not problems:
        verdict = ["Nothing was lost, and every zone has data."]
    return "\n".join([*_zone_table(outcome), "", *_row_table(outcome), "", *verdict])


def find_problems(outcome: Outcome) -> Iterator[str]:
    """Yield every reason why the demo did not succeed."""
    for zone, name in outcome.zones.items():
        found = outcome.figures.get(zone, ZoneFigures())
        if not found.use_kwh:
            yield f"zone {zone} ({name}) has no electricity"
        if zone in outcome.with_water and not found.water_m3:
            yield f"zone {zone} ({name}) has no water"
        if found.power_kw is None:
            yield f"zone {zone} ({name}) has no live power"
    for one in outcome.accounts:
        yield from _account_problems(one)
    for gateway, (stored, held) in _expected(outcome).items():
        counted = outcome.stored.get(gateway, 0)
        if not stored <= counted <= stored + held:
            yield f"{gateway}: {stored} rows acknowledged as stored, but InfluxDB has {counted}"


def _account_problems(one: RowAccount) -> Iterator[str]:
    account = one.account
    if account.balance:
        yield f"{one.sender}: {account.balance} rows are unaccounted for"
    if account.dropped:
        yield f"{one.sender}: {account.dropped} rows were dropped"
    if account.quarantined:
        yield f"{one.sender}: {account.quarantined} rows are in quarantine"
    if account.held:
        yield f"{one.sender}: {account.held} rows are still held"
    if not account.read:
        yield f"{one.sender}: nothing was read"


def _expected(outcome: Outcome) -> dict[str, tuple[int, int]]:
    expected: dict[str, tuple[int, int]] = {}
    for one in outcome.accounts:
        stored, held = expected.get(one.gateway, (0, 0))
        expected[one.gateway] = (stored + one.account.stored, held + one.account.held)
    return expected


def _zone_table(outcome: Outcome) -> Iterator[str]:
    yield f"Yesterday ({outcome.day}) and now; all data is simulated"
    yield f"{'zone':<{_NAME_WIDTH}} {'use kWh':>10} {'peak kW':>9} {'water m3':>9} {'now kW':>8} {'m3/h':>6}"
    for zone, name in outcome.zones.items():
        found = outcome.figures.get(zone, ZoneFigures())
        shown = name.removesuffix(_SIMULATED)[:_NAME_WIDTH]
        yield (
            f"{shown:<{_NAME_WIDTH}} {_number(found.use_kwh):>10} {_number(found.peak_kw):>9}"
            f" {_number(found.water_m3):>9} {_number(found.power_kw):>8} {_number(found.flow_m3h, 2):>6}"
        )


def _row_table(outcome: Outcome) -> Iterator[str]:
    columns = ("read", "stored", "quarantined", "held", "dropped")
    yield "Rows: read = stored + quarantined + held"
    yield f"{'':<16}" + "".join(f" {column:>11}" for column in columns)
    for one in outcome.accounts:
        counts = (getattr(one.account, column) for column in columns)
        yield f"{one.sender:<16}" + "".join(f" {count:>11,}" for count in counts)
    for gateway, (stored, _) in _expected(outcome).items():
        yield f"{gateway}: {stored:,} acknowledged, {outcome.stored.get(gateway, 0):,} counted in InfluxDB"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
