"""The store against a real InfluxDB 1.x, and a 2.x where one is named."""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.store.contract import Series, Store
from ingest.store.errors import StoreDenied, StoreRefused, StoreTooLarge, StoreUnavailable
from ingest.store.influx import open_store
from ingest.store.settings import Flavour, StoreConfig
from simulators.demo.servers import Influx, maybe_program
from tests.peers.http_answers import Answer, answering

T0_MS = 1_790_078_400_000
_NAMES = (f"zonewise-test-{os.getpid()}-{number}" for number in itertools.count())


def influx_1(server: Influx) -> Store:
    return open_store(StoreConfig(flavour=Flavour.ONE, url=server.url))


@pytest.fixture
def store(any_store: Store) -> Store:
    return any_store


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
def test_every_tag_of_ours_can_say_what_is_deleted(store: Store, database: str) -> None:
    """Some are words of InfluxQL: `group`."""
    tags = {
        "gateway": "g1",
        "group": "z1",
        "id": "x",
        "instance": "1",
        "level": "zone",
        "park": "a",
        "version": "1",
    }
    for value in ("z1", "z2"):
        text = ",".join(f"{key}={one}" for key, one in {**tags, "group": value}.items())
        store.write(database, f"member,meter=m-{value},{text} v=1 {T0_MS}".encode())
    store.delete(database, "member", tags=tags, start_ms=T0_MS, stop_ms=T0_MS + 1)
    assert rows(store, database, "member") == [("m-z2", T0_MS, 1)]


@pytest.mark.servers
def test_all_time_can_be_deleted(store: Store, database: str) -> None:
    store.write(database, line("m1", T0_MS) + line("m1", 0) + line("m1", -T0_MS) + line("m2", T0_MS))
    store.delete(database, "electricity", tags={"meter": "m1"}, start_ms=-(2**62), stop_ms=2**62)
    assert rows(store, database) == [("m2", T0_MS, 1)]


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


def test_writes_into_one_database_of_influxdb_1_wait_for_each_other() -> None:
    """InfluxDB 1.6.7 loses points that it acknowledged where the first writes into a shard meet."""
    with answering([Answer(204)], takes_s=0.02) as server, ThreadPoolExecutor(8) as pool:
        store = open_store(StoreConfig(flavour=Flavour.ONE, url=server.url))
        list(pool.map(lambda i: store.write("one", line("m1", T0_MS + i)), range(8)))
        assert server.at_once == [1] * 8
        list(pool.map(lambda i: store.write(f"db{i}", line("m1", T0_MS)), range(8)))
        assert max(server.at_once) > 1, "other databases need not wait"
        store.close()


@pytest.mark.servers
@pytest.mark.parametrize("count", [9_999, 10_000, 10_001, 100_000])
def test_large_answers_come_whole(store: Store, database: str, count: int) -> None:
    for meter in ("m1", "m2"):
        store.write(database, b"".join(line(meter, T0_MS + i) for i in range(count)))
    found = store.query(database, 'SELECT "v" FROM "electricity" GROUP BY "meter"')
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
        (tmp_path / "wrong").unlink()
        with pytest.raises(StoreDenied, match="401"):
            wrong.write("a", line("m1", T0_MS))
        (tmp_path / "wrong").write_text("geheim\n")
        wrong.write("a", line("m2", T0_MS))
        assert rows(wrong, "a") == [("m1", T0_MS, 1), ("m2", T0_MS, 1)], "a mended password needs no restart"
