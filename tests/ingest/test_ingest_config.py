"""ingest.yaml: what it may say, what is wrong with it, and its published schema."""

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
import yaml
from click.testing import CliRunner

from ingest.command_line import cli
from ingest.config import IngestConfig, QuarantineConfig, load_config
from ingest.store.settings import Flavour
from metering.errors import ConfigError
from metering.program.addresses import Address
from metering.program.config import json_schema
from tests.ingest.conftest import INGEST

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "ingest.schema.json"

FULL = """\
instance: north-1
broker:
  host: broker.example
  port: 8883
  username: ingest
  password_file: secrets/mqtt-ingest
  tls: {ca_file: ca.pem, cert_file: ingest.pem, key_file: /etc/ingest.key}
store: {flavour: 2, url: "https://influx.example", token_file: secrets/token, org: zonewise, timeout_s: 5}
parks: parks
data: /var/lib/zonewise
journal: {path: /mnt/journal, keep_days: 400}
quarantine: {keep_days: 90, max_mb_per_gateway_and_day: 20}
http: 127.0.0.1:0
"""


def read(folder: Path, text: str) -> IngestConfig:
    path = folder / "ingest.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def test_the_least_that_must_be_said(tmp_path: Path) -> None:
    config = read(tmp_path, INGEST)
    assert (config.instance, config.http, config.broker.port) == ("1", Address("127.0.0.1", 9102), 1883)
    assert config.store.flavour is Flavour.ONE
    assert config.parks == tmp_path / "parks"
    assert config.journal_folder == tmp_path / "data" / "journal"
    assert config.quarantine_folder == tmp_path / "data" / "quarantine"


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    config = read(tmp_path, FULL)
    assert (config.instance, config.http) == ("north-1", Address("127.0.0.1", 0))
    assert config.broker.password_file == tmp_path / "secrets" / "mqtt-ingest"
    assert config.broker.tls is not None
    assert config.broker.tls.ca_file == tmp_path / "ca.pem"
    assert config.broker.tls.key_file == Path("/etc/ingest.key")
    assert config.store.token_file == tmp_path / "secrets" / "token"
    assert (config.journal_folder, config.journal.keep_days) == (Path("/mnt/journal"), 400)
    assert config.quarantine == QuarantineConfig(keep_days=90, max_mb_per_gateway_and_day=20)


def test_all_problems_come_at_once_with_their_places(tmp_path: Path) -> None:
    text = INGEST.replace("broker:", "brocker: 1\nbroker:").replace("flavour: 1", "flavour: 4")
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text + "http: somewhere\ninstance: Nord!\n")
    shown = [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
    assert shown == [
        "ingest.yaml:1:1: unknown key 'brocker'; did you mean 'broker'?",
        "ingest.yaml:3:18: flavour: 4 is not 1, 2 or 3",
        "ingest.yaml:6:7: http: 'somewhere' is not host:port",
        "ingest.yaml:7:11: instance: 'Nord!' is not an id: lower-case letters, digits and hyphens, at most 32",
    ]


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("{flavour: 2, url: 'http://x', org: o}", "flavour 2 needs token_file or token_env"),
        ("{flavour: 2, url: 'http://x', token_env: T}", "flavour 2 needs org"),
        ("{flavour: 3, url: 'http://x'}", "flavour 3 needs token_file or token_env"),
        ("{flavour: 1, url: 'http://x', username: u}", "username and password_file"),
        ("{flavour: 1, url: 'http://x', password_file: p}", "username and password_file"),
        ("{flavour: 1, url: 'http://x', token_file: t}", "flavour 1 knows no tokens"),
        ("{flavour: 1, url: influx}", "url: 'influx' does not begin with http"),
    ],
)
def test_a_store_must_fit_its_flavour(tmp_path: Path, store: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, INGEST.replace('{flavour: 1, url: "http://127.0.0.1:1"}', store))


def test_secrets_come_from_files_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "token").write_text(" geheim\n")
    config = read(tmp_path, FULL)
    assert config.store.maybe_token() == "geheim"
    assert config.store.maybe_password() is None
    with pytest.raises(ConfigError, match="mqtt-ingest: secret cannot be read"):
        config.broker.maybe_password()
    (tmp_path / "secrets" / "mqtt-ingest").write_text("\n")
    with pytest.raises(ConfigError, match="secret is empty"):
        config.broker.maybe_password()
    from_environment = read(tmp_path, FULL.replace("token_file: secrets/token", "token_env: ZONEWISE_TOKEN"))
    with pytest.raises(ConfigError, match="ZONEWISE_TOKEN"):
        from_environment.store.maybe_token()
    monkeypatch.setenv("ZONEWISE_TOKEN", "other")
    assert from_environment.store.maybe_token() == "other"


def test_a_configuration_can_be_printed_as_it_was_written(tmp_path: Path) -> None:
    assert json.loads(read(tmp_path, INGEST).model_dump_json())["http"] == "127.0.0.1:9102"


@pytest.mark.parametrize("text", [INGEST, FULL])
def test_the_published_schema_accepts_what_we_accept(text: str) -> None:
    jsonschema.validate(yaml.safe_load(text), json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_the_published_schema_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == json_schema(IngestConfig, title="ingest.yaml")


def test_a_broken_configuration_ends_a_command_with_its_problems(ingest_yaml: Path) -> None:
    ingest_yaml.write_text("store: 1\n", encoding="utf-8")
    done = CliRunner().invoke(cli, ["journal", "list", "--config", str(ingest_yaml)])
    assert isinstance(done.exception, ConfigError)
