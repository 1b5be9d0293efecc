"""MQTT 5 for programs that run an event loop: the only module here that knows paho.

Contract and invariants:
- A `MqttLink` keeps trying to be connected while its `async with` block runs. Each connection is a new paho
  client with a clean start: messages that the old one still held are discarded, because the sender's own
  window resends them (paho would send its whole queue at once).
- The `Listener` is called in the event loop, in order: `link_up`, then any number of `received`, then
  `link_down`.
- `publish` sends a message only while connected; its future gets exactly one `Puback`, LOST when the
  connection ends first. It never gets an exception.
- Why there is no connection, and what the broker refuses on one, is in `problem` and once in the log
  (`edge.uplink.reconnect`).
- paho's thread ends with its connection, however that ends: the end of the thread is what is watched. Its
  callbacks only schedule calls in the loop, so they do not raise.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.uplink.connect_errors import unreached
from edge.uplink.link_end import Cause, End, closed, refused
from edge.uplink.reconnect import STABLE_S, LogLine, Reconnects
from metering.errors import ConfigError
from metering.program.connection import Broker

_LOGGER = logging.getLogger(__name__)
_MAX_DISCONNECT_S = 3.0
_NO_MATCHING_SUBSCRIBERS = 16  # MQTT 5, 2.4 "Reason codes"
# Messages without a PUBACK at once: Mosquitto's default, since paho cannot change it once it is connected.
_INFLIGHT = 20

UserProperties = tuple[tuple[str, str], ...]


class Puback(StrEnum):
    """What the broker answered to a published message."""

    TAKEN = "taken"
    NO_SUBSCRIBER = "no matching subscribers"
    REFUSED = "refused"
    LOST = "lost with the connection"


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when the connection ends without DISCONNECT."""

    topic: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """Where the broker is and who we are; subscriptions have QoS 1.

    A half-open connection is noticed within about one and a half of `keepalive_s`.
    """

    broker: Broker
    client_id: str
    maybe_will: Will | None = None
    subscriptions: tuple[str, ...] = ()
    keepalive_s: int = 20


@dataclass(frozen=True, slots=True)
class Received:
    """A message from the broker."""

    topic: str
    body: bytes
    retained: bool
    properties: UserProperties = ()


class Listener(Protocol):
    """Receives the events of a link; called in the event loop, must not block."""

    def link_up(self) -> None:
        """The broker has accepted us; subscriptions are being made."""

    def link_down(self, reason: str) -> None:
        """The connection has ended."""

    def received(self, message: Received) -> None:
        """A message was received."""


class MqttLink:
    """A connection that is made again whenever it ends; use it as `async with` in a running loop."""

    def __init__(self, options: LinkOptions, listener: Listener) -> None:
        self._options = options
        self._listener = listener
        self._maybe_client: _Client | None = None
        self._is_up = False
        self._is_closing = False
        self._ended = asyncio.Event()
        where = f"{options.broker.host}:{options.broker.port}"
        self._reconnects = Reconnects(broker=where, client_id=options.client_id)
        self._maybe_stable_timer: asyncio.TimerHandle | None = None
        self._refusals: dict[str, str] = {}
        self._waiting: dict[int, asyncio.Future[Puback]] = {}

    @property
    def is_up(self) -> bool:
        """Whether the broker has accepted us."""
        return self._is_up

    @property
    def problem(self) -> str:
        """What is wrong with the connection, in words; empty when nothing is."""
        return "; ".join(filter(None, (self._reconnects.problem, *tuple(self._refusals.values()))))

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        if self._maybe_client is None:
            return
        self._maybe_client.disconnect()
        try:
            async with asyncio.timeout(_MAX_DISCONNECT_S):
                await self._ended.wait()
        except TimeoutError:
            _LOGGER.warning("the broker connection did not end in time")

    def publish(
        self, topic: str, body: bytes, *, retain: bool = False, properties: UserProperties = ()
    ) -> "asyncio.Future[Puback]":
        """Publish with QoS 1; the future gets the broker's answer."""
        future: asyncio.Future[Puback] = self._loop.create_future()
        if self._maybe_client is None or not self._is_up:
            future.set_result(Puback.LOST)
            return future
        packed = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho has no types here
        packed.UserProperty = list(properties)
        info = self._maybe_client.publish(topic, body, qos=1, retain=retain, properties=packed)
        if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._waiting[info.mid] = future
        else:
            future.set_result(Puback.LOST)
        return future

    def _start(self) -> None:
        if self._is_closing:
            self._ended.set()
            return
        client = _Client(self._options, on_end=self._on_ended)
        client.on_connect = self._on_connected
        client.on_publish = self._on_published
        client.on_subscribe = self._on_subscribed
        client.on_message = self._on_received
        try:
            client.prepare()
        except (OSError, ValueError, ConfigError) as error:
            self._after_end(client, unreached(error))
        else:
            self._maybe_client = client
            client.loop_start()

    # `_on_…` run in paho's thread and only schedule a call; all others run in the event loop.

    def _call_in_loop(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop has ended
            _LOGGER.debug("called after the end of the loop: %s", function)

    def _on_connected(
        self, client: paho.Client, _data: object, _flags: object, code: ReasonCode, _facts: object
    ) -> None:
        if not isinstance(client, _Client) or not client.note_answer(code):
            return
        if self._options.subscriptions:
            client.subscribe([(one, SubscribeOptions(qos=1)) for one in self._options.subscriptions])
        self._call_in_loop(self._connected, client)

    def _on_published(
        self, client: paho.Client, _data: object, mid: int, code: ReasonCode, _facts: object
    ) -> None:
        self._call_in_loop(self._published, client, mid, code)

    def _on_subscribed(
        self, client: paho.Client, _data: object, _mid: int, codes: list[ReasonCode], _facts: object
    ) -> None:
        refused = [str(code) for code in codes if code.is_failure]
        text = f"the broker refuses our subscriptions ({', '.join(refused)}): nothing can be received"
        self._call_in_loop(self._note_refusal, client, "subscribe", text if refused else "")

    def _on_received(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        found: Any = getattr(message.properties, "UserProperty", ())
        received = Received(message.topic, bytes(message.payload), message.retain, tuple(found))
        self._call_in_loop(self._received, client, received)

    def _on_ended(self, client: "_Client", end: End) -> None:
        self._call_in_loop(self._after_end, client, end)

    def _connected(self, client: "_Client") -> None:
        if self._is_closing:
            client.disconnect()
        elif client is self._maybe_client:
            self._is_up = True
            self._refusals.clear()
            _log(self._reconnects.up(now_s=self._loop.time()))
            self._maybe_stable_timer = self._loop.call_later(
                STABLE_S, lambda: _log(self._reconnects.stable())
            )
            self._listener.link_up()

    def _published(self, client: "_Client", mid: int, code: ReasonCode) -> None:
        maybe_future = self._waiting.pop(mid, None) if client is self._maybe_client else None
        if maybe_future is not None and not maybe_future.done():
            text = f"the broker refuses our messages: {code}" if code.is_failure else ""
            self._note_refusal(client, "publish", text)
            maybe_future.set_result(_puback(code))

    def _note_refusal(self, client: "_Client", what: str, text: str) -> None:
        """Note what the broker refuses on this connection; empty = nothing any more."""
        if client is self._maybe_client and text != self._refusals.get(what, ""):
            self._refusals[what] = text
            if text:
                _LOGGER.warning("%s", text)

    def _received(self, client: "_Client", message: Received) -> None:
        if client is self._maybe_client:
            self._listener.received(message)

    def _after_end(self, client: "_Client", end: End) -> None:
        if self._maybe_client not in (client, None):
            return
        self._maybe_client = None
        was_up, self._is_up = self._is_up, False
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_result(Puback.LOST)
        if self._maybe_stable_timer is not None:
            self._maybe_stable_timer.cancel()
        if was_up:
            self._listener.link_down(end.text)
        if self._is_closing:
            self._ended.set()
        else:
            self._try_again(end)

    def _try_again(self, end: End) -> None:
        _log(self._reconnects.down(end, now_s=self._loop.time()))
        pause_s = self._reconnects.pause_s(random.random())  # noqa: S311 - jitter, no secret
        self._loop.call_later(pause_s, self._start)


class _Client(paho.Client):
    """One connection: connects once, and calls `on_end` when its thread ends."""

    def __init__(self, options: LinkOptions, *, on_end: Callable[["_Client", End], None]) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        self._our_options = options
        self._on_end = on_end
        self._was_accepted = False
        self._maybe_end: End | None = None
        self.on_disconnect = self._note_reason

    def prepare(self) -> None:
        """Set everything up short of connecting.

        Raises:
            ConfigError: when the password or a TLS file cannot be used, with its path.
            OSError, ValueError: when paho refuses what it is given.
        """
        options = self._our_options
        broker = options.broker
        if broker.username is not None:
            self.username_pw_set(broker.username, broker.maybe_password())
        if broker.tls is not None:
            self.tls_set_context(broker.tls.context())
        if options.maybe_will is not None:
            self.will_set(options.maybe_will.topic, options.maybe_will.body, qos=1, retain=True)
        self.max_inflight_messages_set(_INFLIGHT)
        self.connect_async(broker.host, broker.port, keepalive=options.keepalive_s, clean_start=True)

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:  # noqa: FBT001, FBT002, ARG002 - paho's signature
        """Run paho's thread: one connection, then `on_end`."""
        try:
            return super().loop_forever(timeout, retry_first_connection=False)
        except OSError as error:
            self._maybe_end = unreached(error)
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        finally:
            self._on_end(self, self._maybe_end or End(Cause.BROKEN, "the connection ended"))

    def note_answer(self, code: ReasonCode) -> bool:
        """Tell whether the broker accepts us; if not, keep that as the reason of the end."""
        self._was_accepted = not code.is_failure
        if code.is_failure:
            user = self._our_options.broker.username
            self._maybe_end = refused(code.value, str(code), maybe_user=user)
        return self._was_accepted

    def _note_reason(
        self,
        _client: paho.Client,
        _data: object,
        flags: paho.DisconnectFlags,
        code: ReasonCode,
        _facts: object,
    ) -> None:
        self._maybe_end = self._maybe_end or closed(
            code.value,
            str(code),
            by_broker=flags.is_disconnect_packet_from_server,
            was_accepted=self._was_accepted,
            client_id=self._our_options.client_id,
        )


def _log(maybe_line: LogLine | None) -> None:
    if maybe_line is not None:
        _LOGGER.log(logging.WARNING if maybe_line.is_warning else logging.INFO, "%s", maybe_line.text)


def _puback(code: ReasonCode) -> Puback:
    if code.is_failure:
        return Puback.REFUSED
    return Puback.NO_SUBSCRIBER if code.value == _NO_MATCHING_SUBSCRIBERS else Puback.TAKEN
