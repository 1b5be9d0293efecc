"""The broker's configuration of compose.yaml, on a real Mosquitto with secrets made as in compose.yaml."""

import getpass
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import paho.mqtt.client as paho
import pytest
import yaml
from click.testing import CliRunner
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from metering import topics
from simulators.servers import Mosquitto, maybe_program

pytestmark = pytest.mark.servers
ROOT = Path(__file__).parents[2]
PARK = ROOT / "simulators/parks/demo/park.yaml"
WAIT_S = 20.0
#: What each program of compose.yaml publishes to.
LOGINS = {
    "gw-1": topics.data("demo", "gw-1"),
    "gw-2": topics.data("demo", "gw-2"),
    "ingest": topics.ack("demo", "gw-1"),
}


class ComposeBroker(Mosquitto):
    """Mosquitto with docker/mosquitto.conf; only its port and the folder of secrets are others."""

    def _configuration(self) -> str:
        text = (ROOT / "docker/mosquitto.conf").read_text(encoding="utf-8")
        text = text.replace("listener 1883", f"listener {self.port} 127.0.0.1")
        text = text.replace("/secrets/", f"{self.folder}/secrets/")
        return f"{text}user {getpass.getuser()}\n"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ComposeBroker]:
    if maybe_program("mosquitto") is None:
        pytest.skip("mosquitto is not installed (make setup installs it)")
    (tmp_path / "parks").mkdir()
    (tmp_path / "parks/demo.yaml").write_text(PARK.read_text(encoding="utf-8"), encoding="utf-8")
    command = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["secrets"][
        "command"
    ]
    moved = {"/secrets": str(tmp_path / "secrets"), "/parks": str(tmp_path / "parks")}
    done = CliRunner().invoke(
        importlib.import_module("ingest.__main__").cli, [moved.get(one, one) for one in command[1:]]
    )
    assert done.exit_code == 0, done.output
    with ComposeBroker(tmp_path) as running:
        yield running


def may_publish(broker: ComposeBroker, who: Mapping[str, Any], secret: str, topic: str) -> bool:
    """Log in and publish at QoS 1; false when the login or the topic is refused."""
    answers: SimpleQueue[bool] = SimpleQueue()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set(who["username"], secret)

    def on_connect(
        _client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _p: object
    ) -> None:
        if reason.is_failure:
            answers.put(False)
        else:
            client.publish(topic, b"x", qos=1)

    client.on_connect = on_connect
    client.on_publish = lambda _c, _d, _mid, reason, _p: answers.put(not reason.is_failure)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        return answers.get(timeout=WAIT_S)
    finally:
        client.disconnect()
        client.loop_stop()


def secret_of(broker: ComposeBroker, who: Mapping[str, Any]) -> str:
    return (broker.folder / "secrets" / Path(who["password_file"]).name).read_text(encoding="utf-8").strip()


def test_the_programs_get_in_with_their_configured_login_and_nobody_else(broker: ComposeBroker) -> None:
    for name, topic in LOGINS.items():
        who = yaml.safe_load((ROOT / f"docker/{name}.yaml").read_text(encoding="utf-8"))["broker"]
        assert may_publish(broker, who, secret_of(broker, who), topic), name
        assert not may_publish(broker, who, "wrong", topic), name
