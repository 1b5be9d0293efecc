"""The store against a real InfluxDB 1.x, a 2.x where one is named, and a stand-in for rare answers."""

import itertools
import json
import os
import socket
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from ingest.config import Flavour, StoreConfig
from ingest.errors import StoreDenied, StoreError, StoreRefused, StoreTooLarge, StoreUnavailable
from ingest.store import Series, Store, TokenMaker, influxql, open_store
from ingest.store.answers import to_error, to_series
from ingest.store.connection import Connection
from simulators.servers import Influx, maybe_program
from tests.peers.http_answers import Answer, answering

T0_MS = 1_790_078_400_000
_NAMES = (f"zonewise-test-{os.getpid()}-{number}" for number in itertools.count())


def influx_1(server: Influx) -> Store:
    return open_store(StoreConfig(flavour=Flavour.ONE, url=server.url))


def maybe_influx_2(folder: Path) -> Store | None:
    """The InfluxDB 2.x that ZONEWISE_TEST_INFLUXDB2=url,token,org names."""
    named = os.environ.get("ZONEWISE_TEST_INFLUXDB2")
    if named is None:
        return None
    url, token, org = named.split(",")
    (folder / "token").write_text(token)
    return open_store(StoreConfig(flavour=Flavour.TWO, url=url, token_file=folder / "token", org=org))


@pytest.fixture(params=[1, 2])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == 1:
        opened = influx_1(request.getfixturevalue("shared_influx"))
    else:
        maybe_store = maybe_influx_2(tmp_path)
        if maybe_store is None:
            pytest.skip("ZONEWISE_TEST_INFLUXDB2=url,token,org names no InfluxDB 2.x")
        opened = maybe_store
    yield opened
    opened.close()


@pytest.fixture
def database(store: Store) -> str:
    name = next(_NAMES)
    assert store.ensure(name)
    return name


def rows(store: Store, database: str, measurement: str = "electricity") -> list[tuple[str, int, float]]:
    found = store.query(database, f'SELECT "v" FROM "{measurement}" GROUP BY "meter"')
    return [(one.tags["meter"], time_ms, value) for one in found for time_ms, value in one.rows]


def line(meter: str, time_ms: int, value: float = 1.0) -> bytes:
    return f"electricity,meter={meter},park=a v={value} {time_ms}\n".encode()


@pytest.mark.servers
def test_what_is_written_is_found_in_milliseconds(store: Store, database: str) -> None:
    store.write(database, line("m1", T0_MS + 1) + line("m1", T0_MS + 2, 2.5) + line("m2", T0_MS))
    assert rows(store, database) == [("m1", T0_MS + 1, 1), ("m1", T0_MS + 2, 2.5), ("m2", T0_MS, 1)]


@pytest.mark.servers
def test_writing_again_changes_nothing(store: Store, database: str) -> None:
    for _ in range(3):
        store.write(database, line("m1", T0_MS))
    assert rows(store, database) == [("m1", T0_MS, 1)]


@pytest.mark.servers
def test_values_travel_as_parameters(store: Store, database: str) -> None:
    store.write(database, line("m1", T0_MS) + line("it's", T0_MS, 2))
    where = 'SELECT "v" FROM "electricity" WHERE "meter" = $meter'
    (series,) = store.query(database, where, {"meter": "it's"})
    assert series == Series("electricity", {}, ("time", "v"), [[T0_MS, 2]])
    assert store.query(database, where, {"meter": "' OR 1=1"}) == []


@pytest.mark.servers
def test_deleting_takes_a_half_open_span_of_some_tags(store: Store, database: str) -> None:
    store.write(database, b"".join(line(m, T0_MS + i) for m in ("m1", "m2", "it's") for i in range(4)))
    store.delete(
        database,
        "electricity",
        tags={"park": "a", "meter": "m1"},
        start_ms=T0_MS + 1,
        stop_ms=T0_MS + 3,
    )
    store.delete(database, "electricity", tags={"meter": "it's"}, start_ms=T0_MS, stop_ms=T0_MS + 3)
    store.delete(database, "nothing", tags={"meter": "m1"}, start_ms=0, stop_ms=T0_MS * 2)
    left = [(meter, time_ms - T0_MS) for meter, time_ms, _ in rows(store, database)]
    assert left == [("it's", 3), ("m1", 0), ("m1", 3), ("m2", 0), ("m2", 1), ("m2", 2), ("m2", 3)]


@pytest.mark.servers
def test_a_database_is_created_once(store: Store) -> None:
    name = next(_NAMES)
    assert not store.exists(name)
    assert store.ensure(name)
    assert not store.ensure(name)
    assert store.exists(name)


@pytest.mark.servers
def test_a_missing_database_is_a_fault_of_the_set_up(store: Store) -> None:
    with pytest.raises(StoreDenied) as of_write:
        store.write("nowhere", line("m1", T0_MS))
    with pytest.raises(StoreDenied) as of_query:
        store.query("nowhere", 'SELECT "v" FROM "electricity"')
    assert (of_write.value.status, of_query.value.status) == (404, 404)
    assert not of_write.value.transient


@pytest.mark.servers
@pytest.mark.parametrize(
    "bad", [b"nonsense\n", b"electricity,meter=m1 v=NaN 5\n", b'electricity,meter=m1 v="text" %d\n' % T0_MS]
)
def test_a_bad_line_is_refused(store: Store, database: str, bad: bytes) -> None:
    store.write(database, line("m0", T0_MS))
    with pytest.raises(StoreRefused) as caught:
        store.write(database, line("m1", T0_MS) + bad)
    assert caught.value.status in (400, 422)


@pytest.mark.servers
def test_a_bad_query_is_refused(store: Store, database: str) -> None:
    with pytest.raises(StoreRefused):
        store.query(database, "SELEKT")


@pytest.mark.servers
def test_several_threads_may_use_one_store(store: Store, database: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: store.write(database, line(f"m{i % 4}", T0_MS + i)), range(80)))
        found = list(pool.map(lambda _: len(rows(store, database)), range(8)))
    assert found == [80] * 8


@pytest.mark.servers
@pytest.mark.parametrize("count", [9_999, 10_000, 10_001, 100_000])
def test_large_answers_come_whole(shared_influx: Influx, count: int) -> None:
    store, name = influx_1(shared_influx), next(_NAMES)
    store.ensure(name)
    for meter in ("m1", "m2"):
        store.write(name, b"".join(line(meter, T0_MS + i) for i in range(count)))
    found = store.query(name, 'SELECT "v" FROM "electricity" GROUP BY "meter"')
    assert [one.tags for one in found] == [{"meter": "m1"}, {"meter": "m2"}]
    for one in found:
        assert [time_ms - T0_MS for time_ms, _ in one.rows] == list(range(count))


@pytest.mark.servers
def test_a_body_above_the_limit_is_too_large(shared_influx: Influx) -> None:
    store, name = influx_1(shared_influx), next(_NAMES)
    store.ensure(name)
    with pytest.raises(StoreTooLarge):
        store.write(name, line("m1", T0_MS) * 700_000)


@pytest.mark.servers
def test_a_server_that_was_killed_is_unavailable_and_then_there_again(influx: Influx) -> None:
    store = influx_1(influx)
    store.ensure("a")
    store.write("a", line("m1", T0_MS))
    influx.kill()
    with pytest.raises(StoreUnavailable) as caught:
        store.write("a", line("m1", T0_MS + 1))
    assert caught.value.transient
    influx.start()
    store.write("a", line("m1", T0_MS + 2))
    assert [time_ms - T0_MS for _, time_ms, _ in rows(store, "a")] == [0, 2]


class InfluxWithUsers(Influx):
    """An InfluxDB 1.x with authorisation switched on."""

    def _configuration(self) -> str:
        return super()._configuration().replace("[http]", "[http]\nauth-enabled = true")


@pytest.mark.servers
@pytest.mark.skipif(maybe_program("influxd") is None, reason="influxd is not installed")
def test_users_and_passwords_of_1_x(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n")
    (tmp_path / "wrong").write_text("falsch\n")
    with InfluxWithUsers(tmp_path / "influx") as server:
        first = influx_1(server)
        first.query("", "CREATE USER admin WITH PASSWORD 'geheim' WITH ALL PRIVILEGES")
        config = StoreConfig(
            flavour=Flavour.ONE, url=server.url, username="admin", password_file=tmp_path / "password"
        )
        store = open_store(config)
        assert store.ensure("a")
        store.write("a", line("m1", T0_MS))
        assert rows(store, "a") == [("m1", T0_MS, 1)]
        wrong = open_store(config.model_copy(update={"password_file": tmp_path / "wrong"}))
        for stranger in (first, wrong):
            with pytest.raises(StoreDenied, match="401"):
                stranger.write("a", line("m1", T0_MS))
            with pytest.raises(StoreDenied, match="401"):
                stranger.query("a", "SHOW MEASUREMENTS")


def test_nobody_there_is_unavailable() -> None:
    store = open_store(StoreConfig(flavour=Flavour.ONE, url="http://127.0.0.1:1"))
    with pytest.raises(StoreUnavailable) as caught:
        store.query("a", "SHOW MEASUREMENTS")
    assert caught.value.status is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, StoreDenied),
        (400, StoreRefused),
        (401, StoreDenied),
        (403, StoreDenied),
        (404, StoreDenied),
        (405, StoreDenied),
        (408, StoreUnavailable),
        (413, StoreTooLarge),
        (422, StoreRefused),
        (429, StoreUnavailable),
        (500, StoreUnavailable),
        (503, StoreUnavailable),
    ],
)
def test_answers_are_sorted_by_what_to_do(status: int, error: type[StoreError]) -> None:
    with answering([Answer(status, b'{"error":"because"}')]) as server:
        store = open_store(StoreConfig(flavour=Flavour.ONE, url=server.url))
        with pytest.raises(error, match="because") as caught:
            store.write("a", b"m v=1.0 1")
    assert type(caught.value) is error
    assert caught.value.status == status


def test_a_busy_server_says_how_long_to_wait() -> None:
    with answering([Answer(429, b"slow down", {"Retry-After": "7"})]) as server:
        store = open_store(StoreConfig(flavour=Flavour.ONE, url=server.url))
        with pytest.raises(StoreUnavailable, match="slow down") as caught:
            store.write("a", b"m v=1.0 1")
    assert caught.value.retry_after_s == 7.0


def test_a_silent_server_costs_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = open_store(StoreConfig(flavour=Flavour.ONE, url=url, timeout_s=0.2))
        with pytest.raises(StoreUnavailable, match="timed out"):
            store.write("a", b"m v=1.0 1")


def test_a_proxys_page_is_no_write() -> None:
    with answering([Answer(200, b"<html>Welcome")]) as server:
        store = open_store(StoreConfig(flavour=Flavour.ONE, url=server.url))
        with pytest.raises(StoreDenied, match="is this InfluxDB"):
            store.write("a", b"m v=1.0 1")
        with pytest.raises(StoreUnavailable, match="not JSON"):
            store.query("a", "SHOW MEASUREMENTS")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("database not found: x", StoreDenied),
        ("timeout", StoreUnavailable),
        ("query interrupted", StoreUnavailable),
        ("engine is closed", StoreUnavailable),
        ("invalid operation", StoreRefused),
    ],
)
def test_errors_inside_a_good_answer_are_sorted(text: str, error: type[StoreError]) -> None:
    with pytest.raises(error, match=text):
        to_series(json.dumps({"results": [{"statement_id": 0, "error": text}]}).encode())


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"[]", StoreDenied),
        (b"{}", StoreDenied),
        (b'{"error":"no"}', StoreRefused),
        (b'{"results":[{"ser', StoreUnavailable),
        (
            b'{"results":[{"series":[{"name":"m","columns":["time"],"values":[[1]],"partial":true}]}]}',
            StoreUnavailable,
        ),
    ],
)
def test_answers_that_cannot_be_used(body: bytes, error: type[StoreError]) -> None:
    with pytest.raises(error):
        to_series(body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"code":"invalid","message":"bad line"}', "bad line"),
        (b'{"error":"partial write","data":[{"line":2}]}', "partial write: [{'line': 2}]"),
        (b"plain words", "plain words"),
        (b"", "no explanation"),
        (b"7", "7"),
        (b"\xff", "\ufffd"),
    ],
)
def test_each_flavours_explanation_is_shown(body: bytes, text: str) -> None:
    assert str(to_error(400, body)) == f"{text} (HTTP 400)"


def test_names_and_texts_are_quoted() -> None:
    assert influxql.name('a"b\\') == '"a\\"b\\\\"'
    assert influxql.text("it's\\") == "'it\\'s\\\\'"


def test_bodies_are_compressed_on_the_way_to_another_machine() -> None:
    with answering([Answer(204)]) as server:
        local = StoreConfig(flavour=Flavour.ONE, url=server.url)
        Connection(local, compresses=True).write("/write", {"db": "a"}, b"m v=1.0 1")
        open_store(local).write("a", b"m v=1.0 1")
    far, near = server.requests
    assert (far.headers["Content-Encoding"], zlib.decompress(far.body, 31)) == ("gzip", b"m v=1.0 1")
    assert ("Content-Encoding" in near.headers, near.body) == (False, b"m v=1.0 1")


def test_2_x_is_asked_in_its_own_paths(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("geheim\n")
    buckets = Answer(200, b'{"buckets":[{"id":"b1"}]}')
    orgs = Answer(200, b'{"orgs":[{"id":"o1"}]}')
    missing = Answer(404, b'{"code":"not found","message":"bucket not found"}')
    created = Answer(201, b'{"token":"new"}')
    answers = [Answer(204), Answer(204), missing, orgs, created, orgs, buckets, created]
    with answering(answers) as server:
        config = StoreConfig(
            flavour=Flavour.TWO, url=server.url, token_file=tmp_path / "token", org="zonewise"
        )
        store = open_store(config)
        store.write("a_raw", b"m v=1.0 1")
        store.delete("a_raw", "m", tags={"park": 'a"'}, start_ms=0, stop_ms=1000)
        assert store.ensure("a_raw")
        assert isinstance(store, TokenMaker)
        assert store.create_token(["a_raw"], description="Grafana", may_write=False) == "new"
    asked = [
        (one.method, urlsplit(one.path).path, parse_qs(urlsplit(one.path).query)) for one in server.requests
    ]
    place = {"org": ["zonewise"], "bucket": ["a_raw"]}
    found = {"org": ["zonewise"], "name": ["a_raw"]}
    assert asked == [
        ("POST", "/api/v2/write", {**place, "precision": ["ms"]}),
        ("POST", "/api/v2/delete", place),
        ("GET", "/api/v2/buckets", found),
        ("GET", "/api/v2/orgs", {"org": ["zonewise"]}),
        ("POST", "/api/v2/buckets", {}),
        ("GET", "/api/v2/orgs", {"org": ["zonewise"]}),
        ("GET", "/api/v2/buckets", found),
        ("POST", "/api/v2/authorizations", {}),
    ]
    assert {one.headers["Authorization"] for one in server.requests} == {"Token geheim"}
    assert json.loads(server.requests[1].body) == {
        "start": "1970-01-01T00:00:00.000000Z",
        "stop": "1970-01-01T00:00:00.999999999Z",
        "predicate": '_measurement="m" AND park="a\\""',
    }
    assert json.loads(server.requests[4].body) == {"orgID": "o1", "name": "a_raw", "retentionRules": []}
    assert json.loads(server.requests[7].body)["permissions"] == [
        {"action": "read", "resource": {"type": "buckets", "id": "b1", "orgID": "o1"}}
    ]


def test_3_is_written_to_and_cannot_delete(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("geheim")
    shown = Answer(
        200,
        b'{"results":[{"series":[{"name":"databases","columns":["iox::database"],"values":[["other"]]}]}]}',
    )
    with answering([Answer(204), shown, Answer(200, b"")]) as server:
        config = StoreConfig(flavour=Flavour.THREE, url=server.url, token_file=tmp_path / "token")
        store = open_store(config)
        store.write("a_raw", b"m v=1.0 1")
        assert store.ensure("a_raw")
        with pytest.raises(StoreRefused, match="cannot delete"):
            store.delete("a_raw", "m", tags={}, start_ms=0, stop_ms=1)
    assert [urlsplit(one.path).path for one in server.requests] == [
        "/api/v2/write",
        "/query",
        "/api/v3/configure/database",
    ]


def test_the_client_runs_on_the_real_urllib3() -> None:
    # urllib3-future, which grafana-client pulls in, takes urllib3's place with versions like 2.19.900.
    assert int(vars(urllib3)["__version__"].split(".")[2]) < 900
