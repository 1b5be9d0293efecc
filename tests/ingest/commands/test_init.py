"""`zonewise-ingest init` on a real InfluxDB 1.x, on a 2.x where one is named, and on a stand-in for its answers."""

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ingest.command_line import cli
from ingest.store.errors import StoreDenied
from ingest.store.influx import open_store
from ingest.store.settings import Flavour, StoreConfig
from simulators.demo.servers import Influx
from tests.peers.http_answers import Answer, answering

BUCKETS = Answer(200, b'{"buckets":[{"id":"b1"}]}')
NO_BUCKETS = Answer(200, b'{"buckets":[]}')
ORGS = Answer(200, b'{"orgs":[{"id":"o1"}]}')
CREATED = Answer(201, b'{"token":"made-by-influxdb"}')


def init(config: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["init", "--config", str(config), *options])


def use(config: Path, store: str) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('{flavour: 1, url: "http://127.0.0.1:1"}', store), encoding="utf-8")


@pytest.mark.servers
def test_databases_of_every_park_are_created_once(ingest_yaml: Path, influx: Influx) -> None:
    use(ingest_yaml, f"{{flavour: 1, url: '{influx.url}'}}")
    park = ingest_yaml.parent / "parks" / "demo.yaml"
    other = park.read_text(encoding="utf-8").replace("park: demo", "park: other")
    (park.parent / "other.yaml").write_text(other, encoding="utf-8")
    first = init(ingest_yaml)
    assert first.output == (
        "database demo_raw: created\n"
        "database demo_rollup: created\n"
        "database other_raw: created\n"
        "database other_rollup: created\n"
    )
    assert init(ingest_yaml).output == first.output.replace("created", "is there")
    store = open_store(StoreConfig(flavour=Flavour.ONE, url=influx.url))
    assert all(store.exists(name) for name in ("demo_raw", "demo_rollup", "other_raw", "other_rollup"))


def test_tokens_of_2_x_are_written_once_and_to_files_of_the_owner(ingest_yaml: Path, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    (tmp_path / "admin").write_text("operator")
    for_one_token = [ORGS, BUCKETS, BUCKETS, CREATED]
    for_one_bucket = [NO_BUCKETS, ORGS, CREATED]
    with answering([*for_one_bucket, *for_one_bucket, *for_one_token, *for_one_token, BUCKETS]) as server:
        use(ingest_yaml, f"{{flavour: 2, url: '{server.url}', token_file: secrets/x, org: zonewise}}")
        options = ("--tokens", str(secrets), "--admin-token-file", str(tmp_path / "admin"))
        first, second = init(ingest_yaml, *options), init(ingest_yaml, *options)
    assert first.exit_code == second.exit_code == 0
    assert "influxdb-ingest-token: created, read and write" in first.output
    assert "influxdb-grafana-token: created, read only" in first.output
    assert second.output.count("is there, kept") == 2
    assert "made-by-influxdb" not in first.output
    tokens = sorted(secrets.iterdir())
    assert [path.name for path in tokens] == ["influxdb-grafana-token", "influxdb-ingest-token"]
    assert [path.read_text() for path in tokens] == ["made-by-influxdb"] * 2
    assert [stat.S_IMODE(path.stat().st_mode) for path in tokens] == [0o600] * 2
    sent = [one.headers["Authorization"] for one in server.requests]
    assert set(sent[:-4]) == {"Token operator"}
    assert sent[-4:] == ["Token made-by-influxdb"] * 4, "what is kept is asked what it sees"


@pytest.mark.servers
def test_the_tokens_of_a_real_2_x_are_enough_and_not_too_much(
    ingest_yaml: Path, influxdb2: StoreConfig, tmp_path: Path
) -> None:
    secrets, parks = tmp_path / "secrets", ingest_yaml.parent / "parks"
    first, second = (f"init-{os.getpid()}-{number}" for number in (1, 2))
    text = (parks / "demo.yaml").read_text(encoding="utf-8")
    (parks / "demo.yaml").write_text(text.replace("park: demo", f"park: {first}"), encoding="utf-8")
    ingest_token = secrets / "influxdb-ingest-token"
    use(
        ingest_yaml,
        f"{{flavour: 2, url: '{influxdb2.url}', token_file: {ingest_token}, org: {influxdb2.org}}}",
    )
    as_operator = ("--tokens", str(secrets), "--admin-token-file", str(influxdb2.token_file))

    assert init(ingest_yaml, *as_operator).output.count("created") == 4
    assert "not for" not in init(ingest_yaml, *as_operator).output
    ingest, grafana = (
        open_store(influxdb2.model_copy(update={"token_file": secrets / name}))
        for name in ("influxdb-ingest-token", "influxdb-grafana-token")
    )
    ingest.write(f"{first}_raw", b"m,meter=a v=1 1\nm,meter=a v=2 2")
    ingest.delete(f"{first}_raw", "m", tags={"meter": "a"}, start_ms=1, stop_ms=2)
    (series,) = grafana.query(f"{first}_raw", 'SELECT "v" FROM "m"')
    assert series.rows == [[2, 2]]
    with pytest.raises(StoreDenied, match="403"):
        grafana.write(f"{first}_raw", b"m,meter=a v=1 1")

    (parks / "other.yaml").write_text(text.replace("park: demo", f"park: {second}"), encoding="utf-8")
    alone = init(ingest_yaml)
    assert (alone.exit_code, type(alone.exception)) == (1, SystemExit)
    assert "init needs the operator's token (--admin-token-file)" in alone.output
    with pytest.raises(StoreDenied, match="404"):
        ingest.query(f"{second}_raw", 'SELECT "v" FROM "m"')
    for _ in range(2):
        told = f"it is not for {second}_raw, {second}_rollup: delete the file and run init again"
        assert init(ingest_yaml, *as_operator).output.count(told) == 2
    with pytest.raises(StoreDenied, match="404"):
        ingest.query(f"{second}_raw", 'SELECT "v" FROM "m"')
    ingest_token.unlink()
    assert f"token {ingest_token}: created" in init(ingest_yaml, *as_operator).output
    assert ingest.query(f"{second}_raw", 'SELECT "v" FROM "m"') == [], "no restart is needed"


def test_a_token_that_is_older_than_a_database_is_named(ingest_yaml: Path, tmp_path: Path) -> None:
    for name in ("influxdb-ingest-token", "influxdb-grafana-token"):
        (tmp_path / name).write_text("old")
    (tmp_path / "admin").write_text("operator")
    with answering([BUCKETS, NO_BUCKETS, ORGS, CREATED, *[BUCKETS, NO_BUCKETS] * 2]) as server:
        use(ingest_yaml, f"{{flavour: 2, url: '{server.url}', token_file: admin, org: zonewise}}")
        done = init(ingest_yaml, "--tokens", str(tmp_path))
    assert done.output.count("it is not for demo_rollup: delete the file and run init again") == 2
    assert (tmp_path / "influxdb-ingest-token").read_text() == "old"


def test_tokens_are_not_for_1_x(ingest_yaml: Path, tmp_path: Path) -> None:
    done = init(ingest_yaml, "--tokens", str(tmp_path))
    assert done.exit_code == 2
    assert "--tokens is for flavour 2" in done.output
