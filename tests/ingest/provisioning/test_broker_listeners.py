"""The broker of compose.yaml, as a real Mosquitto: who may connect where, and under which client id."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from click.testing import CliRunner
from paho.mqtt.enums import CallbackAPIVersion

from edge.uplink.mqtt import LinkOptions, MqttLink, Puback, Received, Will
from ingest.command_line import cli
from ingest.receive.subscriber import Arrival, Subscriber, Subscription
from metering.messages import status, topics
from metering.program.connection import Broker
from simulators.demo.servers import maybe_program
from tests.ingest.conftest import PARK
from tests.peers.compose_broker import ComposeBroker

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(maybe_program("mosquitto") is None, reason="mosquitto is not installed"),
]
EPOCH = "00000000000000aa"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ComposeBroker]:
    (tmp_path / "parks").mkdir()
    (tmp_path / "parks" / "demo.yaml").write_text(PARK, encoding="utf-8")
    made = CliRunner().invoke(
        cli, ["secrets", str(tmp_path / "secrets"), "--parks", str(tmp_path / "parks"), "--mode", "644"]
    )
    assert made.exit_code == 0, made.output
    with ComposeBroker(tmp_path) as one:
        yield one


def account(broker: ComposeBroker, user: str, port: int) -> Broker:
    return Broker(
        host="127.0.0.1", port=port, username=user, password_file=broker.folder / "secrets" / f"mqtt-{user}"
    )


class Ear:
    """Keeps what ingest's subscriber, or a gateway's link, is told."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.received_messages: list[Received] = []
        self.links: list[bool] = []

    def arrived(self, arrival: Arrival) -> None:
        """Keep it."""
        self.arrivals.append(arrival)

    def stray(self, topic: str) -> None:
        """Fail: nothing else is sent here."""
        raise AssertionError(topic)

    def link(self, *, is_up: bool) -> None:
        """Keep it."""
        self.links.append(is_up)

    def link_up(self) -> None:
        """Keep it."""
        self.links.append(True)

    def link_down(self, reason: str) -> None:
        """Keep it."""
        assert reason
        self.links.append(False)

    def received(self, message: Received) -> None:
        """Keep it."""
        self.received_messages.append(message)


def ingest_at(broker: ComposeBroker, ear: Ear) -> Subscriber:
    subscription = Subscription(
        broker=account(broker, "ingest", broker.ingest_port), park="demo", instance="1"
    )
    return Subscriber(subscription, ear, clock_ms=lambda: 1)


def connect(broker: ComposeBroker, port: int, user: str, client_id: str, password: str | None = None) -> str:
    """Connect once with a user's password, or another one; gives the broker's word."""
    word = password or (broker.folder / "secrets" / f"mqtt-{user}").read_text()
    answers: list[str] = []
    answered = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5)
    client.username_pw_set(user, word)

    def note(_client: object, _data: object, _flags: object, reason: object, _facts: object) -> None:
        answers.append(str(reason))
        answered.set()

    client.on_connect = note
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert answered.wait(10)
    client.disconnect()
    client.loop_stop()
    return answers[0]


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - conditions of other threads have no event
            await asyncio.sleep(0.02)


async def test_no_gateway_takes_the_client_id_of_ingest(broker: ComposeBroker) -> None:
    ear = Ear()
    ingest = ingest_at(broker, ear)
    ingest.start()
    await until(lambda: ear.links == [True])
    taken = "zonewise-ingest-1-demo"
    at_its_own = await asyncio.to_thread(connect, broker, broker.port, "demo.gw-1", taken)
    at_ingests = await asyncio.to_thread(connect, broker, broker.ingest_port, "demo.gw-1", taken)
    assert (at_its_own, at_ingests) == ("Success", "Not authorized")
    await asyncio.sleep(0.5)
    assert ear.links == [True]
    await ingest.stop()


async def test_a_gateway_under_its_user_name_delivers_is_heard_and_leaves_its_will(
    broker: ComposeBroker,
) -> None:
    ear, gateway_ear = Ear(), Ear()
    ingest = ingest_at(broker, ear)
    ingest.start()
    await until(lambda: ear.links == [True])
    will = Will(topics.status("demo", "gw-1"), b'{"will":1}')
    options = LinkOptions(
        broker=account(broker, "demo.gw-1", broker.port),
        client_id="zonewise-demo-gw-1",
        maybe_will=will,
        subscriptions=(topics.ack("demo", "gw-1"), topics.ingest_status("demo")),
    )
    async with MqttLink(options, gateway_ear) as link:
        await until(lambda: gateway_ear.received_messages)
        assert status.decode_ingest(gateway_ear.received_messages[0].body)
        assert await link.publish(topics.data("demo", "gw-1"), b"data") is Puback.TAKEN
        await until(lambda: ear.arrivals)
        assert ingest.publish(topics.ack("demo", "gw-1"), b'{"ack":1}')
        await until(lambda: len(gateway_ear.received_messages) == 2)
        # A stranger without the password does not take the name away.
        word = await asyncio.to_thread(connect, broker, broker.port, "demo.gw-1", "x", "wrong")
        assert word == "Not authorized"
        assert gateway_ear.links == [True]
        # A second client of the same user does: then the broker sends the will, and the link comes back.
        assert await asyncio.to_thread(connect, broker, broker.port, "demo.gw-1", "another") == "Success"
        await until(lambda: gateway_ear.links == [True, False, True])
        await until(lambda: any(one.body == b'{"will":1}' for one in ear.arrivals))
        await until(lambda: len(gateway_ear.received_messages) == 3)
        assert status.decode_ingest(gateway_ear.received_messages[2].body)
    await ingest.stop()
