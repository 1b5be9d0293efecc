"""`zonewise-ingest secrets`, with its files given to a real Mosquitto."""

import base64
import grp
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from click.testing import CliRunner, Result
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.command_line import cli
from ingest.provisioning import broker_files
from simulators.demo.servers import Mosquitto, maybe_program

NAMES = [
    "grafana-admin-password",
    "influxdb-admin-token",
    "influxdb-password",
    "influxdb-username",
    "mosquitto-acl",
    "mosquitto-passwords",
    "mosquitto-passwords-ingest",
    "mqtt-demo.gw-1",
    "mqtt-demo.gw-2",
    "mqtt-ingest",
]


def make_secrets(config: Path, *options: str) -> Result:
    folder, parks = config.parent / "secrets", config.parent / "parks"
    return CliRunner().invoke(cli, ["secrets", str(folder), "--parks", str(parks), *options])


def contents(config: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((config.parent / "secrets").iterdir())}


def test_each_secret_is_made_once_and_never_shown(ingest_yaml: Path) -> None:
    first = make_secrets(ingest_yaml)
    made = contents(ingest_yaml)
    assert list(made) == NAMES
    for name in ("grafana-admin-password", "influxdb-admin-token", "mqtt-ingest", "mqtt-demo.gw-1"):
        assert len(made[name]) == 43
        assert made[name] not in first.output
    second = make_secrets(ingest_yaml)
    assert contents(ingest_yaml) == made
    assert "influxdb-admin-token: is there, kept" in second.output
    assert "mosquitto-passwords: 3 users kept, 0 added" in second.output
    assert "mosquitto-passwords-ingest: 1 users kept, 0 added" in second.output
    assert list(broker_files.users_in(made["mosquitto-passwords-ingest"])) == ["ingest"]
    assert max(len(line) for line in second.output.splitlines()) <= 80


@pytest.mark.parametrize(("options", "mode"), [((), 0o600), (("--mode", "640"), 0o640)])
def test_the_files_are_the_owners(ingest_yaml: Path, options: tuple[str, ...], mode: int) -> None:
    make_secrets(ingest_yaml, *options)
    folder = ingest_yaml.parent / "secrets"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {mode}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_new_gateway_gets_its_user_and_the_others_stay(ingest_yaml: Path) -> None:
    make_secrets(ingest_yaml)
    before = contents(ingest_yaml)
    acl = ingest_yaml.parent / "secrets" / "mosquitto-acl"
    acl.write_text(before["mosquitto-acl"] + "user boss\ntopic readwrite #\n")
    park = ingest_yaml.parent / "parks" / "demo.yaml"
    park.write_text(park.read_text() + "  z1-gas: {medium: gas, place: z1, gateway: gw-3}\n")
    done = make_secrets(ingest_yaml)
    after = contents(ingest_yaml)
    assert set(after) - set(before) == {"mqtt-demo.gw-3"}
    assert after["mosquitto-passwords"].startswith(before["mosquitto-passwords"])
    assert after["mosquitto-acl"].startswith(before["mosquitto-acl"] + "user boss\ntopic readwrite #\n")
    assert "mosquitto-acl: 4 users kept, 1 added" in done.output


def test_a_known_hash_of_mosquitto_passwd() -> None:
    # Capture: `mosquitto_passwd -b FILE user geheim` of Mosquitto 2.0.11.
    captured = "$7$101$3/hC67Wgql2vi+pA$HTI8jpggRrO3/eDlU+NcimY7nKPrUuATrkPta5ANxQMm1lWIAz7hOITQw96ygh5Jx4R5M90qRNLP2Xwm2hMNig=="
    salt = base64.b64decode(captured.split("$")[3])
    assert broker_files.hashed("geheim", salt) == captured


class MosquittoWithUsers(Mosquitto):
    """A broker that knows the users of a folder of secrets."""

    def __init__(self, folder: Path, secrets: Path) -> None:
        super().__init__(folder)
        self._secrets = secrets

    def _configuration(self) -> str:
        return (
            super()._configuration().replace("allow_anonymous true", "allow_anonymous false")
            + f"password_file {self._secrets}/mosquitto-passwords\nacl_file {self._secrets}/mosquitto-acl\n"
        )


class Client:
    """A client that waits for what it asked."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self._answer: list[ReasonCode] = []
        self._answered = threading.Event()
        self.received: list[str] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.username_pw_set(user, password)
        self._client.on_connect = lambda _c, _u, _f, reason, _p: self._note(reason)
        self._client.on_publish = lambda _c, _u, _m, reason, _p: self._note(reason)
        self._client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._note(reasons[0])
        self._client.on_message = lambda _c, _u, message: self.received.append(message.topic)
        self.connected = self._ask(lambda: self._client.connect("127.0.0.1", port))

    def _note(self, reason: ReasonCode, _properties: Properties | None = None) -> None:
        self._answer.append(reason)
        self._answered.set()

    def _ask(self, call: Callable[[], object]) -> str:
        self._answered.clear()
        call()
        self._client.loop_start()
        assert self._answered.wait(10)
        return str(self._answer[-1])

    def publish(self, topic: str) -> str:
        """Publish with QoS 1 and give the broker's word."""
        return self._ask(lambda: self._client.publish(topic, b"{}", qos=1))

    def subscribe(self, topic: str) -> str:
        """Subscribe and give the broker's word."""
        return self._ask(lambda: self._client.subscribe(topic, qos=1))

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


@pytest.mark.servers
@pytest.mark.skipif(maybe_program("mosquitto") is None, reason="mosquitto is not installed")
def test_mosquitto_lets_each_user_do_its_own(ingest_yaml: Path, tmp_path: Path) -> None:
    make_secrets(ingest_yaml, "--mode", "644")
    secrets = ingest_yaml.parent / "secrets"
    with MosquittoWithUsers(tmp_path / "mosquitto", secrets) as broker:

        def client(user: str, password: str | None = None) -> Client:
            return Client(broker.port, user, password or (secrets / f"mqtt-{user}").read_text())

        assert client("demo.gw-1", "wrong").connected == "Not authorized"
        ingest, gateway = client("ingest"), client("demo.gw-1")
        assert (ingest.connected, gateway.connected) == ("Success", "Success")
        assert ingest.subscribe("$share/ingest/zonewise/v1/demo/+/data").startswith("Granted")
        assert gateway.publish("zonewise/v1/demo/gw-1/data") == "Success"
        assert gateway.publish("zonewise/v1/demo/gw-1/birth") != "Not authorized"
        assert gateway.publish("zonewise/v1/demo/gw-1/status") != "Not authorized"
        for foreign in (
            "zonewise/v1/demo/gw-2/data",
            "zonewise/v1/other/gw-1/data",
            "zonewise/v1/demo/gw-1/ack",
            "zonewise/v1/demo/_ingest/1/status",
        ):
            assert gateway.publish(foreign) == "Not authorized"
        gateway.subscribe("zonewise/v1/demo/gw-1/ack")
        assert ingest.publish("zonewise/v1/demo/gw-1/ack") == "Success"
        assert ingest.publish("zonewise/v1/demo/_ingest/1/status") != "Not authorized"
        assert ingest.publish("zonewise/v1/demo/gw-1/data") == "Not authorized"
        for one in (ingest, gateway):
            one.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another group needs root")
def test_the_brokers_group_may_read_its_files_also_after_a_later_run(ingest_yaml: Path) -> None:
    folder, group = ingest_yaml.parent / "secrets", grp.getgrnam("daemon").gr_gid
    make_secrets(ingest_yaml, "--broker-group", "daemon")
    park = ingest_yaml.parent / "parks" / "demo.yaml"
    park.write_text(park.read_text() + "  z1-gas: {medium: gas, place: z1, gateway: gw-3}\n")
    assert make_secrets(ingest_yaml).exit_code == 0
    assert "demo.gw-3" in (folder / "mosquitto-passwords").read_text()
    given = {path.name for path in folder.iterdir() if path.stat().st_gid == group}
    assert given == {"mosquitto-acl", "mosquitto-passwords", "mosquitto-passwords-ingest"}
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    assert (modes["secrets"], modes["mosquitto-acl"], modes["mqtt-ingest"]) == (0o710, 0o640, 0o600)


def test_a_group_that_is_not_there_is_said(ingest_yaml: Path) -> None:
    done = make_secrets(ingest_yaml, "--broker-group", "nobody-here")
    assert (done.exit_code, "install Mosquitto first" in done.output) == (2, True)
