"""Whatever stands where something else is needed: each mistake with its place, and in words of ours."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.config.gateway_file import GatewayFile
from ingest.config import IngestConfig
from metering.errors import ConfigError
from metering.park.description import ParkDescription
from metering.program.config import Model, load

FILES: dict[str, tuple[type[Model], str]] = {
    "gateway": (
        GatewayFile,
        """\
park: demo
gateway: gw-1
broker: {host: b, port: 8883, username: u, password_file: p, tls: {ca_file: ca.pem}}
clock: trusted
http: 127.0.0.1:0
outbox: {path: out.db, durability: always, max_mb: 100, max_days: 7, spill_after_s: 5}
buses:
  main: {tcp: 10.0.0.5:502, timeout_s: 0.8}
  line: {serial: /dev/ttyS0, baud: 19200, parity: N, stop_bits: 2, late_window_s: 5, pause_ms: 20}
meters:
  - {id: m, model: eastron-sdm630, bus: main, address: 1, poll_s: 5, ct: 250/5, vt: 10, reversed: true}
  - {model: wirenboard-wb-mwac-v2, bus: line, address: 7, channels: {1: w, 2: v}}
  - {id: n, model: SDM120, bus: line, address: 8, overrides: {energy_import_wh: {scale: 1, address: 4}}}
""",
    ),
    "ingest": (
        IngestConfig,
        """\
broker: {host: b}
store: {flavour: 2, url: "http://x", org: o, token_file: t, timeout_s: 5}
parks: parks
data: data
instance: "1"
journal: {path: j, keep_days: 3}
http: 127.0.0.1:0
""",
    ),
    "park": (
        ParkDescription,
        """\
park: demo
name: Demo
timezone: Europe/Ljubljana
zones: {z1: {name: Zone, area_m2: 5, people: [{value: 3, valid_from: 2026-01-01}]}}
buildings: {b1: {name: Building, zone: z1}}
tenants: {t1: {name: Tenant}}
quantities: {pressure_bar: {unit: bar, kind: gauge, media: [water], low: 0, high: 10}}
meters:
  m: {name: M, medium: electricity, role: grid, place: [{zone: z1, building: b1, valid_from: 2026-01-01}]}
  n: {medium: electricity, place: z1, tenant: t1, gateway: gw-1, fed_by: m}
""",
    ),
}
WRONG: tuple[Any, ...] = ("%%", -1e18, 0.5, 10**25, True, None, [[1]], {"strange": 1})
LIBRARY_WORDS = re.compile(
    r"[Ii]nput should|should be|should match|should have|[Ff]ield required|valid (str|int|num|dict|list|tuple|date|bool|dec)"
    r"|pydantic|function-|type=|another kind of value|Decimal|\bNone\b|_type|unable to parse"
)


def places(data: object, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every value of a document stands."""
    if here:
        yield here
    if isinstance(data, dict):
        for key, value in data.items():
            yield from places(value, (*here, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from places(value, (*here, number))


def replaced(data: Any, place: tuple[Any, ...], wrong: object) -> Any:  # noqa: ANN401 - YAML is anything
    """Return a copy with another value at one place."""
    if not place:
        return wrong
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[place[0]] = replaced(data[place[0]], place[1:], wrong)
    return copy


@pytest.mark.parametrize("file", FILES)
def test_any_wrong_value_is_told_with_its_place_in_our_words(tmp_path: Path, file: str) -> None:
    model, text = FILES[file]
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    load(path, model)
    data = yaml.safe_load(text)
    told = 0

    for place in places(data):
        for wrong in WRONG:
            path.write_text(
                yaml.safe_dump(replaced(data, place, wrong), allow_unicode=True), encoding="utf-8"
            )
            try:
                load(path, model)
            except ConfigError as error:
                told += 1
                for problem in error.problems:
                    assert not LIBRARY_WORDS.search(problem.message), (place, wrong, problem)
                    assert problem.line > 0, (place, wrong, problem)
    assert told > 3 * len(list(places(data)))
