"""What the store makes of answers that a real InfluxDB gives seldom, and of those of 2.x and 3."""

import json
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from ingest.store import influxql
from ingest.store.answers import to_error, to_series
from ingest.store.connection import Connection
from ingest.store.contract import TokenMaker
from ingest.store.errors import StoreDenied, StoreError, StoreRefused, StoreTooLarge, StoreUnavailable
from ingest.store.influx import open_store
from ingest.store.settings import Flavour, StoreConfig
from tests.peers.http_answers import Answer, answering


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
        "predicate": '"_measurement"="m" AND "park"="a\\""',
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


@pytest.mark.parametrize("body", [b"", b'{"results":[]}' + b" " * 500])
def test_an_answer_that_dribbles_ends_at_the_time_out(body: bytes) -> None:
    with answering([Answer(200, body, dribble_s=0.2), Answer(204)]) as server:
        store = open_store(StoreConfig(flavour=Flavour.ONE, url=server.url, timeout_s=1.0))
        began_s = time.monotonic()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            store.query("a", "SHOW MEASUREMENTS")
        assert time.monotonic() - began_s < 5
        store.write("a", b"m v=1.0 1")


def test_closing_a_store_ends_what_waits_for_an_answer() -> None:
    with answering([Answer(200, b" " * 500, dribble_s=0.2)]) as server, ThreadPoolExecutor(1) as threads:
        store = open_store(StoreConfig(flavour=Flavour.ONE, url=server.url))
        asked = threads.submit(store.query, "a", "SHOW MEASUREMENTS")
        while not server.requests:
            time.sleep(0.01)
        time.sleep(0.5)
        store.close()
        with pytest.raises(StoreUnavailable):
            asked.result(timeout=5)
