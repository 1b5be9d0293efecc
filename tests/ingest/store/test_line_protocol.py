"""Line protocol: exact text for known points, and whatever we write InfluxDB reads back the same."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.store.contract import Store
from ingest.store.influx import open_store
from ingest.store.line_protocol import RowEncoder, encode_point
from ingest.store.settings import Flavour, StoreConfig
from simulators.demo.servers import Influx


@pytest.mark.parametrize(
    ("point", "line"),
    [
        (("m", [("park", "a")], {"v": 1.0}, 5), b"m,park=a v=1.0 5"),
        (("m", [], {"n": 5, "v": -0.5}, -5), b"m n=5i,v=-0.5 -5"),
        (("m", [], {"v": 1e16}, 5), b"m v=1e+16 5"),
        (("m", [], {"v": 2.0**53}, 5), b"m v=9007199254740992.0 5"),
        (("m", [], {"v": 1.0, "gone": None}, 5), b"m v=1.0 5"),
        (("a b,c=d", [("x y", "1,2=3 4")], {"f g": 1.0}, 5), rb"a\ b\,c=d,x\ y=1\,2\=3\ 4 f\ g=1.0 5"),
        (("m", [], {"s": 'say "no" \\ yes'}, 5), rb'm s="say \"no\" \\ yes" 5'),
        (("m", [], {"s": "Žiče, °C"}, 5), 'm s="Žiče, °C" 5'.encode()),
    ],
)
def test_a_point_is_one_known_line(point: tuple[Any, ...], line: bytes) -> None:
    assert encode_point(*point) == line


@pytest.mark.parametrize(
    ("tags", "fields", "error"),
    [
        ([], {"v": math.nan}, ValueError),
        ([], {"v": math.inf}, ValueError),
        ([], {"v": -math.inf}, ValueError),
        ([], {"v": True}, TypeError),
        ([], {"v": 2**63}, ValueError),
        ([], {}, ValueError),
        ([], {"v": None}, ValueError),
        ([], {"": 1.0}, ValueError),
        ([("park", "")], {"v": 1.0}, ValueError),
        ([("park", "a\\")], {"v": 1.0}, ValueError),
        ([("park", "a\nb")], {"v": 1.0}, ValueError),
    ],
)
def test_what_cannot_be_written_is_refused(
    tags: list[tuple[str, str]], fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        encode_point("m", tags, fields, 5)


def test_a_row_is_floats_and_an_integer_quality() -> None:
    rows = RowEncoder("electricity", "demo", ("active_power_w", "energy_import_wh"))
    assert (
        rows.encode("z1-main", 1_790_000_000_123, 4, (-230.5, 123))
        == b"electricity,meter=z1-main,park=demo quality=4i,active_power_w=-230.5,energy_import_wh=123.0 1790000000123"
    )


def test_what_was_not_read_is_left_out() -> None:
    rows = RowEncoder("water", "demo", ("flow_m3h", "volume_l", "temperature_c"))
    assert rows.encode("w", 7, 1, (None, 5, None)) == b"water,meter=w,park=demo quality=1i,volume_l=5.0 7"
    assert rows.encode("w", 7, 1, (None, None, None)) == b"water,meter=w,park=demo quality=1i 7"
    assert RowEncoder("water", "demo", ()).encode("w", 7, 1, ()) == b"water,meter=w,park=demo quality=1i 7"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_row_with_nan_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="flow_m3h"):
        RowEncoder("water", "demo", ("volume_l", "flow_m3h")).encode("w", 7, 0, (5, value))


def test_percent_signs_in_names_stay() -> None:
    line = RowEncoder("100%d", "p%s", ("%b",)).encode("m", 7, 0, (1.0,))
    assert line == b"100%d,meter=m,park=p%s quality=0i,%b=1.0 7"


_NUMBERS = st.one_of(
    st.none(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)
)


@given(st.lists(_NUMBERS, min_size=1, max_size=12))
def test_numbers_of_a_row_are_exact(values: list[float | int | None]) -> None:
    names = [f"q{i}" for i in range(len(values))]
    line = RowEncoder("m", "p", names).encode("a", 5, 0, values)
    fields = dict(pair.split("=") for pair in line.decode().split(" ")[1].split(","))
    assert fields.pop("quality") == "0i"
    expected = {name: float(value) for name, value in zip(names, values, strict=True) if value is not None}
    assert {name: float(text) for name, text in fields.items()} == expected


@pytest.fixture(scope="module")
def store(shared_influx: Influx) -> Store:
    opened = open_store(StoreConfig(flavour=Flavour.ONE, url=shared_influx.url))
    opened.ensure("lines")
    return opened


_NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\\"), min_size=1, max_size=12
).filter(lambda text: text != "time")
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=20)
_MEASUREMENTS = (f"m{i}" for i in itertools.count())


@pytest.mark.servers
@settings(max_examples=60, deadline=None)
@given(
    tags=st.dictionaries(_NAMES.map(lambda name: f"t{name}"), _NAMES, max_size=3),
    fields=st.dictionaries(
        _NAMES.map(lambda name: f"f{name}"),
        st.one_of(st.floats(allow_nan=False, allow_infinity=False), _TEXTS, st.integers(-(2**63), 2**63 - 1)),
        min_size=1,
        max_size=4,
    ),
)
def test_influxdb_reads_back_what_we_write(
    store: Store, tags: dict[str, str], fields: dict[str, Any]
) -> None:
    measurement = next(_MEASUREMENTS)
    store.write("lines", encode_point(measurement, sorted(tags.items()), fields, 1_790_000_000_000))
    (series,) = store.query("lines", f'SELECT * FROM "{measurement}" GROUP BY *')
    assert series.tags == tags
    ((time_ms, *values),) = series.rows
    assert time_ms == 1_790_000_000_000
    # Its JSON shows whole floats without a point, beyond 2^53 too: only the field's type tells.
    read = {name: type(fields[name])(value) for name, value in zip(series.columns[1:], values, strict=True)}
    assert read == fields
