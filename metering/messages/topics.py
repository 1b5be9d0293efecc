"""MQTT topics: `zonewise/v1/<park>/<gateway>/<kind>` and `zonewise/v1/<park>/_ingest/<instance>/<kind>`."""

from dataclasses import dataclass

from metering.names import is_gateway_id, is_park_id

PREFIX = "zonewise/v1"
GATEWAY_KINDS = ("data", "birth", "status", "ack")
INGEST_KINDS = ("status", "event")


@dataclass(frozen=True, slots=True)
class GatewayTopic:
    """A topic that belongs to one gateway; `kind` is one of `GATEWAY_KINDS`."""

    park: str
    gateway: str
    kind: str

    def __str__(self) -> str:
        return f"{PREFIX}/{self.park}/{self.gateway}/{self.kind}"


@dataclass(frozen=True, slots=True)
class IngestTopic:
    """A topic of an ingest instance for one park; `kind` is one of `INGEST_KINDS`."""

    park: str
    instance: str
    kind: str

    def __str__(self) -> str:
        return f"{PREFIX}/{self.park}/_ingest/{self.instance}/{self.kind}"


def data(park: str, gateway: str) -> str:
    """Where a gateway publishes its rows (QoS 1, not retained)."""
    return str(GatewayTopic(park, gateway, "data"))


def birth(park: str, gateway: str) -> str:
    """Where a gateway publishes what its meters are (retained)."""
    return str(GatewayTopic(park, gateway, "birth"))


def status(park: str, gateway: str) -> str:
    """Where a gateway publishes its state (retained; also its last will)."""
    return str(GatewayTopic(park, gateway, "status"))


def ack(park: str, gateway: str) -> str:
    """Where ingest, and only ingest, acknowledges rows (QoS 1, not retained)."""
    return str(GatewayTopic(park, gateway, "ack"))


def ingest_status(park: str, instance: str = "+") -> str:
    """Where an ingest instance publishes whether it is online; `+` gives the filter for all."""
    return str(IngestTopic(park, instance, "status"))


def ingest_event(park: str, instance: str) -> str:
    """Where an ingest instance publishes events."""
    return str(IngestTopic(park, instance, "event"))


def maybe_parse(topic: str) -> GatewayTopic | IngestTopic | None:
    """Read a topic; `None` for any other."""
    parts = topic.split("/")
    if parts[:2] != ["zonewise", "v1"]:
        return None
    match parts[2:]:
        case [park, "_ingest", instance, kind] if is_park_id(park) and kind in INGEST_KINDS:
            return IngestTopic(park, instance, kind)
        case [park, gateway, kind] if is_park_id(park) and is_gateway_id(gateway) and kind in GATEWAY_KINDS:
            return GatewayTopic(park, gateway, kind)
        case _:
            return None
