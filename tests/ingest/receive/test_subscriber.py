"""The connection to a real broker: flow control, wills, reconnection, TLS."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.receive.subscriber import RECEIVE_MAXIMUM, Arrival, Subscriber, Subscription
from metering.program.connection import Broker, Tls
from simulators.demo.servers import Mosquitto
from tests.ingest.running_ingest import gateway
from tests.peers.tls_broker import TlsMosquitto, make_certificate

pytestmark = pytest.mark.servers


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.strays: list[str] = []
        self.links: list[bool] = []

    def arrived(self, arrival: Arrival) -> None:
        """Keep it."""
        self.arrivals.append(arrival)

    def stray(self, topic: str) -> None:
        """Keep it."""
        self.strays.append(topic)

    def link(self, *, is_up: bool) -> None:
        """Keep it."""
        self.links.append(is_up)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - conditions of other threads have no event
            await asyncio.sleep(0.02)


def subscriber(port: int, ear: Ear, tls: Tls | None = None) -> Subscriber:
    broker = Broker(host="127.0.0.1", port=port, tls=tls)
    subscription = Subscription(broker=broker, park="demo", instance="7")
    return Subscriber(subscription, ear, clock_ms=lambda: 42)


async def test_messages_wait_at_the_broker_until_there_is_room(mosquitto: Mosquitto) -> None:
    ear = Ear()
    one = subscriber(mosquitto.port, ear)
    one.start()
    await until(lambda: ear.links == [True])
    with gateway(mosquitto.port) as gw:
        await until(lambda: gw.online == [True])
        total = RECEIVE_MAXIMUM + 200

        def send_all() -> None:
            for number in range(total):
                gw.send(b"%d" % number, [("rows", "1")])

        await asyncio.to_thread(send_all)
        await until(lambda: len(ear.arrivals) >= RECEIVE_MAXIMUM)
        assert len(ear.arrivals) == RECEIVE_MAXIMUM
        acknowledged = 0
        while acknowledged < total:
            waiting = ear.arrivals[acknowledged:]
            acknowledged += len(waiting)
            for arrival in waiting:
                one.puback(arrival)
            await asyncio.sleep(0.02)
        assert [arrival.body for arrival in ear.arrivals] == [b"%d" % number for number in range(total)]
        assert (ear.arrivals[0].properties, ear.arrivals[0].received_at_ms) == ((("rows", "1"),), 42)
        await one.stop()
        await until(lambda: gw.online == [True, False])


async def test_a_new_connection_forgets_what_the_old_one_owed(mosquitto: Mosquitto) -> None:
    ear = Ear()
    one = subscriber(mosquitto.port, ear)
    assert not one.publish("zonewise/v1/demo/gw-1/ack", b"too early")
    one.start()
    await until(lambda: ear.links == [True])
    with gateway(mosquitto.port) as gw:
        await asyncio.to_thread(gw.send, b"old")
        await until(lambda: ear.arrivals)
    mosquitto.restart()
    await until(lambda: ear.links == [True, False, True])
    with gateway(mosquitto.port) as gw:
        await asyncio.to_thread(gw.send, b"new")
        await until(lambda: len(ear.arrivals) == 2)
        old, new = ear.arrivals
        assert old.mid == new.mid
        assert old.connection is not new.connection
        one.puback(old)
        one.puback(new)
        await asyncio.to_thread(gw.send, b"newer")
        await until(lambda: len(ear.arrivals) == 3)
    await one.stop()


async def test_topics_of_no_gateway_are_told_and_do_not_block(mosquitto: Mosquitto) -> None:
    ear = Ear()
    one = subscriber(mosquitto.port, ear)
    one.start()
    await until(lambda: ear.links == [True])
    with gateway(mosquitto.port, "NO_ID") as gw:
        for _ in range(30):
            await asyncio.to_thread(gw.send, b"x")
    await until(lambda: len(ear.strays) == 30)
    assert ear.arrivals == []
    await one.stop()


async def test_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    ear, stranger = Ear(), Ear()
    with TlsMosquitto(tmp_path / "mosquitto") as mosquitto:
        one = subscriber(mosquitto.port, ear, Tls(ca_file=certificate, cert_file=certificate, key_file=key))
        other = subscriber(mosquitto.port, stranger, Tls(ca_file=certificate))
        other.start()
        one.start()
        await until(lambda: ear.links == [True])
        await one.stop()
        await other.stop()
    assert stranger.links == []
