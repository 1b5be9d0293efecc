"""The MQTT link against a real broker: what it promises its listener and its publishers."""

import asyncio
import logging
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.uplink.mqtt import LinkOptions, MqttLink, Puback, Received, Will
from metering.program.connection import Broker, Tls
from simulators.demo.servers import Mosquitto, maybe_program

pytestmark = pytest.mark.servers
PATIENCE_S = 20.0


@dataclass
class Ear:
    """A listener that remembers."""

    events: list[str] = field(default_factory=list)
    messages: list[Received] = field(default_factory=list)

    def link_up(self) -> None:
        """Remember."""
        self.events.append("up")

    def link_down(self, reason: str) -> None:
        """Remember."""
        self.events.append(f"down: {reason}")

    def received(self, message: Received) -> None:
        """Remember."""
        self.messages.append(message)


def options(broker: Broker, name: str = "one", *subscriptions: str, will: Will | None = None) -> LinkOptions:
    return LinkOptions(broker=broker, client_id=name, subscriptions=subscriptions, maybe_will=will)


def at(mosquitto: Mosquitto) -> Broker:
    return Broker(host="127.0.0.1", port=mosquitto.port)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - conditions of a test have no event
            await asyncio.sleep(0.02)


async def test_a_puback_says_whether_anybody_listens(mosquitto: Mosquitto) -> None:
    ear = Ear()
    async with MqttLink(options(at(mosquitto), "one", "heard"), ear) as link:
        await until(lambda: link.is_up)
        properties = (("epoch", "1"), ("epoch", "2"))
        assert await link.publish("heard", b"x", properties=properties) is Puback.TAKEN
        assert await link.publish("unheard", b"x") is Puback.NO_SUBSCRIBER
        await until(lambda: ear.messages)
        assert ear.messages == [Received("heard", b"x", retained=False, properties=properties)]
    assert ear.events[0] == "up"
    assert len(ear.events) == 2


async def test_without_a_connection_a_message_is_lost_at_once() -> None:
    async with MqttLink(options(Broker(host="127.0.0.1", port=1)), Ear()) as link:
        assert await link.publish("topic", b"x") is Puback.LOST


async def test_it_comes_back_after_the_broker_was_killed_and_sends_nothing_by_itself(
    mosquitto: Mosquitto,
) -> None:
    ear, other = Ear(), Ear()
    async with (
        MqttLink(options(at(mosquitto), "one", "data"), ear) as link,
        MqttLink(options(at(mosquitto), "two", "data"), other) as second,
    ):
        await until(lambda: link.is_up and second.is_up)
        await asyncio.to_thread(mosquitto.kill)
        futures = [link.publish("data", b"in vain") for _ in range(100)]
        assert set(await asyncio.gather(*futures)) == {Puback.LOST}
        await asyncio.to_thread(mosquitto.start)
        await until(lambda: link.is_up and second.is_up)
        assert await link.publish("data", b"again") is Puback.TAKEN
        await until(lambda: other.messages)
        assert {message.body for message in other.messages} == {b"again"}
    assert [event[:4] for event in ear.events] == ["up", "down", "up", "down"]


async def test_more_messages_than_paho_sends_at_once_are_all_taken(mosquitto: Mosquitto) -> None:
    ear = Ear()
    async with MqttLink(options(at(mosquitto), "one", "data"), ear) as link:
        await until(lambda: link.is_up)
        futures = [link.publish("data", f"{n}".encode()) for n in range(300)]
        assert set(await asyncio.gather(*futures)) == {Puback.TAKEN}
        await until(lambda: len(ear.messages) == 300)
        assert [message.body for message in ear.messages] == [f"{n}".encode() for n in range(300)]


async def test_a_goodbye_keeps_the_will_unsaid_and_retained_messages_stay(mosquitto: Mosquitto) -> None:
    will = Will("status", b"dead")
    async with MqttLink(options(at(mosquitto), "one", will=will), Ear()) as link:
        await until(lambda: link.is_up)
        await link.publish("status", b"alive", retain=True)
    ear = Ear()
    async with MqttLink(options(at(mosquitto), "two", "status"), ear):
        await until(lambda: ear.messages)
        assert ear.messages == [Received("status", b"alive", retained=True)]


async def test_the_same_client_id_elsewhere_leaves_our_will(mosquitto: Mosquitto) -> None:
    ear, will = Ear(), Will("status", b"dead")
    async with MqttLink(options(at(mosquitto), "watcher", "status"), ear) as watcher:
        await until(lambda: watcher.is_up)
        async with MqttLink(options(at(mosquitto), "one", will=will), Ear()) as link:
            await until(lambda: link.is_up)
            await asyncio.to_thread(mosquitto.stop)
            await asyncio.to_thread(mosquitto.start)
            await until(lambda: link.is_up and watcher.is_up)
            async with MqttLink(options(at(mosquitto), "one"), Ear()):
                await until(lambda: any(message.body == b"dead" for message in ear.messages))


async def test_an_unreadable_secret_or_certificate_is_tried_again(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    broker = Broker(host="127.0.0.1", port=mosquitto.port, username="gw-1", password_file=secret)
    async with MqttLink(options(broker), Ear()) as link:
        assert await link.publish("topic", b"x") is Puback.LOST
        secret.write_text("later\n", encoding="utf-8")
        await until(lambda: link.is_up)


class PasswordMosquitto(Mosquitto):
    """A Mosquitto that knows one user."""

    def _configuration(self) -> str:
        passwords = self.folder / "passwords"
        program = maybe_program("mosquitto_passwd")
        if program is None:
            pytest.skip("mosquitto_passwd is not installed")
        passwords.touch(mode=0o600)
        subprocess.run([program, "-b", passwords, "demo.gw-1", "right"], check=True, capture_output=True)
        text = super()._configuration().replace("allow_anonymous true", "allow_anonymous false")
        return f"{text}password_file {passwords}\n"


def messages(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    return [
        one.getMessage() for one in caplog.records if one.name.startswith("edge") and one.levelno >= level
    ]


async def test_a_wrong_password_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wrong\n", encoding="utf-8")
    with PasswordMosquitto(tmp_path / "mosquitto") as mosquitto:
        broker = Broker(host="127.0.0.1", port=mosquitto.port, username="demo.gw-1", password_file=secret)
        async with MqttLink(options(broker), Ear()) as link:
            await until(lambda: link.problem)
            expected = "the broker refuses user 'demo.gw-1': Not authorized; check username and password"
            assert link.problem == expected
            await asyncio.sleep(2)
            assert len([one for one in messages(caplog) if expected in one]) == 1
            secret.write_text("right\n", encoding="utf-8")
            await until(lambda: link.is_up)
            assert link.problem == ""


async def test_a_second_gateway_with_the_same_id_is_named(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    broker = at(mosquitto)
    async with MqttLink(options(broker, "zonewise-demo-gw-1"), Ear()) as first:
        async with MqttLink(options(broker, "zonewise-demo-gw-1"), Ear()) as second:
            await until(lambda: "as 'zonewise-demo-gw-1'" in first.problem + second.problem)
            told = [
                one
                for one in messages(caplog, logging.WARNING)
                if "each gateway needs an id of its own" in one
            ]
            assert len(told) in (1, 2)
        await until(lambda: first.is_up)


async def test_a_broker_that_is_away_is_told_once_and_its_return_once(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge")
    async with MqttLink(options(at(mosquitto)), Ear()) as link:
        await until(lambda: link.is_up)
        await asyncio.to_thread(mosquitto.kill)
        await until(lambda: link.problem == "Connection refused")
        await asyncio.sleep(3)
        await asyncio.to_thread(mosquitto.start)
        await until(lambda: link.is_up)
    where = f"the broker at 127.0.0.1:{mosquitto.port}"
    first, lost, away, back = messages(caplog)
    assert first == f"connected to {where}"
    assert lost.startswith(f"no connection to {where}: the connection was closed without a reason")
    assert away.startswith(f"no connection to {where}: Connection refused")
    assert back.startswith(f"connected to {where} after ")


async def test_a_goodbye_is_no_warning(mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    async with MqttLink(options(at(mosquitto)), Ear()) as link:
        await until(lambda: link.is_up)
    assert messages(caplog, logging.WARNING) == []


async def test_a_host_that_does_not_exist_is_named() -> None:
    async with MqttLink(options(Broker(host="no-such-host.invalid")), Ear()) as link:
        await until(lambda: link.problem)
        assert "the name of the host cannot be resolved" in link.problem


class DenyingMosquitto(Mosquitto):
    """A Mosquitto whose rules let nobody write."""

    def _configuration(self) -> str:
        rules = self.folder / "acl"
        rules.write_text("topic read #\n", encoding="utf-8")
        rules.chmod(0o600)
        return f"{super()._configuration()}acl_file {rules}\n"


async def test_messages_that_the_broker_refuses_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with DenyingMosquitto(tmp_path / "mosquitto") as mosquitto:
        async with MqttLink(options(at(mosquitto)), Ear()) as link:
            await until(lambda: link.is_up)
            for _ in range(5):
                assert await link.publish("topic", b"x") is Puback.REFUSED
            assert link.problem == "the broker refuses our messages: Not authorized"
            assert len([one for one in messages(caplog) if "refuses our messages" in one]) == 1


async def test_a_broker_without_tls_and_one_with_another_authority_are_named(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    certificate, _key = make_certificate(tmp_path)
    plain = Broker(host="127.0.0.1", port=mosquitto.port, tls=Tls(ca_file=certificate))
    async with MqttLink(options(plain), Ear()) as link:
        await until(lambda: link.problem)
        assert "does the broker speak TLS at this port?" in link.problem
    with TlsMosquitto(tmp_path / "tls") as secure:
        for tls, expected in (
            (Tls(), "TLS: self-signed certificate"),
            (None, "does it want TLS at this port?"),
        ):
            stranger = Broker(host="127.0.0.1", port=secure.port, tls=tls)
            async with MqttLink(options(stranger), Ear()) as link:
                await until(lambda: link.problem)
                assert expected in link.problem.replace("self signed", "self-signed")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of this test's own for 127.0.0.1; gives certificate and key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            key,
            "-out",
            certificate,
            *subject,
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


class TlsMosquitto(Mosquitto):
    """A Mosquitto that wants a certificate from each client."""

    def _configuration(self) -> str:
        files = {name: self.folder.parent / f"{name}.pem" for name in ("cert", "key")}
        return (
            super()._configuration()
            + f"certfile {files['cert']}\nkeyfile {files['key']}\n"
            + f"cafile {files['cert']}\nrequire_certificate true\n"
        )


async def test_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    with TlsMosquitto(tmp_path / "mosquitto") as mosquitto:
        tls = Tls(ca_file=certificate, cert_file=certificate, key_file=key)
        broker = Broker(host="127.0.0.1", port=mosquitto.port, tls=tls)
        async with MqttLink(options(broker), Ear()) as link:
            await until(lambda: link.is_up)
            assert await link.publish("topic", b"x") is Puback.NO_SUBSCRIBER
        stranger, ear = Broker(host="127.0.0.1", port=mosquitto.port, tls=Tls()), Ear()
        async with MqttLink(options(stranger), ear) as link:
            await asyncio.sleep(0.5)
            assert not link.is_up
            assert not ear.events
