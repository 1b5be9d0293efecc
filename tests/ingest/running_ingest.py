"""A real broker, a real InfluxDB, `zonewise-ingest run` as a process, and a gateway made of paho alone.

The gateway's messages are written by hand here, so that ingest is tested against the contract and not against
the edge's encoder.
"""

import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.system.chain import Chain, chain, wait_until

EPOCH = "00000000000000aa"
COLUMNS = ("energy_import_wh", "active_power_w", "voltage_l1_v")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def body(seq: int, rows: Sequence[Any], **changes: object) -> bytes:
    """Return a data message of gateway gw-1; `changes` replace keys of the envelope or the block."""
    block: dict[str, object] = {"medium": "electricity", "quantities": COLUMNS, "rows": rows}
    envelope: dict[str, object] = {
        "schema": 1,
        "gateway": "gw-1",
        "epoch": EPOCH,
        "seq": seq,
        "blocks": [block],
    }
    for key, value in changes.items():
        (block if key in block else envelope)[key] = value
    return json.dumps(envelope).encode()


def tags(seq: int, rows: int) -> list[tuple[str, str]]:
    """Return the user properties of a data message."""
    return [("epoch", EPOCH), ("seq", str(seq)), ("rows", str(rows))]


@dataclass
class Gateway:
    """A gateway that sends what it is told to, and keeps what it hears."""

    client: paho.Client
    park: str
    name: str
    acks: list[Any] = field(default_factory=list)
    online: list[bool] = field(default_factory=list)
    heard: threading.Event = field(default_factory=threading.Event)

    def send(
        self,
        payload: bytes,
        properties: Sequence[tuple[str, str]] = (),
        *,
        kind: str = "data",
        retain: bool = False,
    ) -> None:
        """Publish with QoS 1 and wait for the broker."""
        self.publish(payload, properties, kind=kind, retain=retain).wait_for_publish(20)

    def publish(
        self,
        payload: bytes,
        properties: Sequence[tuple[str, str]] = (),
        *,
        kind: str = "data",
        retain: bool = False,
    ) -> paho.MQTTMessageInfo:
        """Publish with QoS 1 and go on: what is sent next waits behind it at the broker."""
        packed = Properties(PacketTypes.PUBLISH)
        packed.UserProperty = list(properties)
        topic = f"zonewise/v1/{self.park}/{self.name}/{kind}"
        return self.client.publish(topic, payload, qos=1, retain=retain, properties=packed)

    def send_rows(self, seq: int, rows: Sequence[Any], **changes: object) -> None:
        """Send a well-formed data message."""
        self.send(body(seq, rows, **changes), tags(seq, len(rows)))

    def maybe_ack(self, seq: int) -> dict[str, Any] | None:
        """Return the last acknowledgement that covers a seq of `EPOCH`."""
        for ack in reversed(self.acks):
            for one in ack["acks"]:
                if one["epoch"] == EPOCH and any(first <= seq <= last for first, last in one["seqs"]):
                    return dict(one)
        return None

    def reasons(self, seq: int) -> list[tuple[int, str]]:
        """Return (rows, reason) of what the acknowledgement of a seq says about the quarantine."""
        ack = self.maybe_ack(seq)
        assert ack is not None, seq
        return [(rows, reason) for one, rows, reason in ack["quarantined"] if one == seq]

    def wait_ack(self, seq: int, *, timeout_s: float = 30) -> dict[str, Any]:
        """Wait until a seq is acknowledged."""
        wait_until(f"{self.name} {seq} is acknowledged", lambda: self.maybe_ack(seq), timeout_s=timeout_s)
        ack = self.maybe_ack(seq)
        assert ack is not None
        return ack


@contextmanager
def gateway(port: int, name: str = "gw-1", *, park: str = "demo") -> Iterator[Gateway]:
    """Connect a gateway."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"test-{park}-{name}", protocol=paho.MQTTv5)
    one = Gateway(client, park, name)

    def hear(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        parsed = json.loads(message.payload)
        if message.topic.endswith("/ack"):
            one.acks.append(parsed)
        else:
            one.online.append(parsed["online"])
        one.heard.set()

    client.on_message = hear
    client.on_connect = lambda *_: client.subscribe(
        [(f"zonewise/v1/{park}/{name}/ack", 1), (f"zonewise/v1/{park}/_ingest/+/status", 1)]
    )
    client.connect("127.0.0.1", port, clean_start=True)
    client.loop_start()
    try:
        yield one
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def running(folder: Path, *, meters: dict[str, Any] | None = None, **config: object) -> Iterator[Chain]:
    """Start broker, InfluxDB and ingest; ends when ingest has said that it is there."""
    with chain(folder) as park:
        park.write_park(meters or {f"m-{n}": {"medium": "electricity", "place": "z1"} for n in (1, 2)})
        park.write_ingest(**config)
        program = park.start_ingest()
        wait_until("ingest is connected", lambda: "broker connected" in program.log)
        yield park


def page(park: Chain, path: str) -> tuple[int, str]:
    """Get a local page of ingest: status and text."""
    *_, address = re.findall(r"instance .*: .* at http://([0-9.:]+)", park.programs["ingest"].log)
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def points(park: Chain, measurement: str, *, database: str = "demo_raw") -> list[dict[str, Any]]:
    """Return every point of a measurement as one dict of time, tags and fields."""
    found = park.query(database, f'SELECT * FROM "{measurement}" GROUP BY *')
    return [
        {**one["tags"], **{k: v for k, v in zip(one["columns"], row, strict=True) if v is not None}}
        for one in found
        for row in one["values"]
    ]
