"""MQTT 5 for ingest: the only module of ingest that knows paho.

Contract and invariants:
- One connection per park, because a connection has one last will and one Receive Maximum: a park that is
  paused holds up its own messages only.
- Clean start: the broker keeps nothing for us, the gateways do. A PUBACK is flow control and nothing else: it
  is sent by `puback`, when a message has entered the bounded intake. At most `RECEIVE_MAXIMUM` messages wait
  for theirs, then the broker sends no more.
- Each connection is a new paho client, so that packet ids of an old one can never be acknowledged on a new
  one. The thread connects again for ever, with capped and jittered pauses, and ends with `stop`.
- `_ingest/<instance>/status` is retained: online (or holding) once the subscriptions stand, offline as the
  last will.
- Callbacks only pass things on to the event loop; what they raise is logged and ends nothing, and the message
  is PUBACKed all the same. What paho raises ends the connection, never the thread.
- `publish` sends at once or not at all: nothing is queued for a later connection.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.backoff import pause_s
from ingest.receive.supervision import supervised
from metering.errors import ConfigError
from metering.messages import status, topics
from metering.messages.topics import GatewayTopic, maybe_parse
from metering.program.connection import Broker

_LOGGER = logging.getLogger(__name__)

RECEIVE_MAXIMUM = 1000
MAXIMUM_PACKET_BYTES = 256 * 1024
_KEEPALIVE_S = 20
_STOP_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message of a gateway as it came.

    Attributes:
        received_at_ms: Our clock, UTC.
        properties: MQTT 5 user properties.
        retained: Whether the broker had kept it.
        mid: Packet id, for `puback`; 0 for QoS 0.
        connection: Where it came from.
    """

    topic: GatewayTopic
    received_at_ms: int
    properties: tuple[tuple[str, str], ...]
    body: bytes
    retained: bool
    mid: int = 0
    connection: object = field(default=None, repr=False, compare=False)


class Listener(Protocol):
    """Handles what the connection receives; called in the event loop, and must not wait."""

    def arrived(self, arrival: Arrival) -> None:
        """A message came; `puback` it in time."""

    def stray(self, topic: str) -> None:
        """A message came on a topic that is no gateway's; it is dropped."""

    def link(self, *, is_up: bool) -> None:
        """The subscriptions stand, or the connection has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Which park's messages, and under which client id.

    Attributes:
        share_group: Name of a shared subscription to data, when several instances take one park together.
    """

    broker: Broker
    park: str
    instance: str
    share_group: str | None = None

    @property
    def client_id(self) -> str:
        """Client id at the broker."""
        return f"zonewise-ingest-{self.instance}-{self.park}"

    @property
    def status_topic(self) -> str:
        """Topic of this instance's status."""
        return topics.ingest_status(self.park, self.instance)

    @property
    def filters(self) -> tuple[str, ...]:
        """Topic filters; only data are shared, every instance must know births and statuses."""
        data = topics.data(self.park, "+")
        shared = data if self.share_group is None else f"$share/{self.share_group}/{data}"
        return (topics.birth(self.park, "+"), topics.status(self.park, "+"), shared)


class Subscriber:
    """A park's connection to the broker."""

    def __init__(
        self, subscription: Subscription, listener: Listener, *, clock_ms: Callable[[], int]
    ) -> None:
        self._subscription = subscription
        self._listener = listener
        self._clock_ms = clock_ms
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._logged_reason = ""
        self._is_holding = False  # set by the loop, read by our thread
        self._maybe_client: paho.Client | None = None  # set by our thread, read by the loop
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{subscription.park}", daemon=True)

    def start(self) -> None:
        """Start to connect."""
        self._thread.start()

    def hold(self) -> None:
        """Publish that nothing is taken for the time being; gateways then only probe."""
        self._is_holding = True
        self.publish(self._subscription.status_topic, self._own_status(), retain=True)

    def resume(self) -> None:
        """Take messages again: by a new connection, to which the broker gives all retained ones anew."""
        self._is_holding = False
        client = self._maybe_client
        if client is not None:
            client.disconnect()

    def _own_status(self) -> bytes:
        if self._is_holding:
            return status.encode_holding()
        return status.encode_ingest(online=True, time_ms=self._clock_ms())

    async def stop(self) -> None:
        """Publish offline, disconnect and end the thread; waits a few seconds at most."""
        self._stopping.set()
        client = self._maybe_client
        if client is not None:
            body = status.encode_ingest(online=False, time_ms=self._clock_ms())
            info = client.publish(self._subscription.status_topic, body, qos=1, retain=True)
            await asyncio.to_thread(_wait_sent, info)
            client.disconnect()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _STOP_TIMEOUT_S)

    def puback(self, arrival: Arrival) -> None:
        """Send the PUBACK of a message: there is room for another one."""
        if arrival.mid and isinstance(arrival.connection, paho.Client):
            # On a connection that has ended this does nothing.
            arrival.connection.ack(arrival.mid, 1)

    def publish(self, topic: str, body: bytes, *, retain: bool = False) -> bool:
        """Publish with QoS 1; false when there is no connection; then the message is dropped."""
        client = self._maybe_client
        if client is None or not client.is_connected():
            return False
        return client.publish(topic, body, qos=1, retain=retain).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    # -- in our thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            was_up = self._connect_once()
            # A connection that ended after it had been accepted counts as the first failure.
            failures = 1 if was_up else failures + 1
            self._stopping.wait(pause_s(failures, random.random()))  # noqa: S311 - jitter, no secret

    def _connect_once(self) -> bool:
        """Hold one connection to its end; return whether the broker had accepted it."""
        supervised("connection to the broker", self._hold_connection, lambda _error: None)
        maybe_accepted, self._maybe_client = self._maybe_client, None
        if maybe_accepted is None:
            return False
        self._call_in_loop(self._pass_link, False)
        return True

    def _hold_connection(self) -> None:
        broker = self._subscription.broker
        try:
            client = self._prepared()
            client.connect(
                broker.host,
                broker.port,
                keepalive=_KEEPALIVE_S,
                clean_start=True,
                properties=_connect_properties(),
            )
            client.loop_forever()
        except (OSError, ValueError, ConfigError) as error:
            self._log_once(f"no broker at {broker.host}:{broker.port}: {error}")

    def _log_once(self, text: str) -> None:
        """Log why there is no connection, once per reason."""
        if text != self._logged_reason:
            _LOGGER.warning("%s: %s", self._subscription.park, text)
        self._logged_reason = text

    def _prepared(self) -> paho.Client:
        subscription = self._subscription
        broker = subscription.broker
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=subscription.client_id,
            protocol=paho.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(RECEIVE_MAXIMUM)
        client.suppress_exceptions = True  # logged by paho; a callback must not end the thread
        client.enable_logger(_LOGGER.getChild("paho"))
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.maybe_password())
        if broker.tls is not None:
            client.tls_set_context(broker.tls.context())
        will = status.encode_ingest(online=False, time_ms=0)
        client.will_set(subscription.status_topic, will, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(
        self, client: paho.Client, _data: object, _flags: object, code: ReasonCode, _facts: object
    ) -> None:
        if code.is_failure:
            self._log_once(f"the broker refuses the connection: {code}")
            return
        self._maybe_client = client
        self._logged_reason = ""
        client.subscribe([(one, SubscribeOptions(qos=1)) for one in self._subscription.filters])

    def _on_subscribe(
        self, client: paho.Client, _data: object, _mid: int, codes: list[ReasonCode], _facts: object
    ) -> None:
        refused = [str(code) for code in codes if code.is_failure]
        if refused:
            _LOGGER.error("the broker refuses the subscriptions: %s", ", ".join(refused))
            client.disconnect()
            return
        client.publish(self._subscription.status_topic, self._own_status(), qos=1, retain=True)
        self._call_in_loop(self._pass_link, True)

    def _on_message(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        supervised(
            "message from the broker",
            lambda: self._pass_on(client, message),
            lambda _error: self._drop(client, message, "unreadable"),
        )

    def _pass_on(self, client: paho.Client, message: paho.MQTTMessage) -> None:
        maybe_topic = maybe_parse(message.topic)
        if not isinstance(maybe_topic, GatewayTopic):
            self._drop(client, message, message.topic)
            return
        found: Any = getattr(message.properties, "UserProperty", ())
        arrival = Arrival(
            topic=maybe_topic,
            received_at_ms=self._clock_ms(),
            properties=tuple(found),
            body=bytes(message.payload),
            retained=message.retain,
            mid=message.mid if message.qos else 0,
            connection=client,
        )
        self._call_in_loop(self._listener.arrived, arrival)

    def _drop(self, client: paho.Client, message: paho.MQTTMessage, topic: str) -> None:
        client.ack(message.mid, message.qos)
        self._call_in_loop(self._listener.stray, topic)

    def _call_in_loop(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The event loop has ended: the process stops.
            _LOGGER.debug("after the end of the event loop: %s", function)

    def _pass_link(self, is_up: bool) -> None:  # noqa: FBT001 - call_soon passes by position
        self._listener.link(is_up=is_up)


def _connect_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho has no types here
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = MAXIMUM_PACKET_BYTES
    return properties


def _wait_sent(info: paho.MQTTMessageInfo) -> None:
    try:
        info.wait_for_publish(_STOP_TIMEOUT_S)
    except (RuntimeError, ValueError) as error:
        _LOGGER.debug("offline not published: %s", error)
