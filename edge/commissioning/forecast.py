"""What a configuration will cost, before anything is connected: bus time and uplink volume. Pure.

A bus fits while its polls take at most `MAX_BUSY` of the time: the rest belongs to the probes of mute meters
(together at most 5 % of the line). The uplink is predicted by packing the rows of ten minutes, and of one
round of the meters that are read seldom, with the same assembler and seal that the gateway uses, with values
as long as real ones, plus what MQTT, TCP and IP add to each message. Resends, TLS handshakes, births and
status messages are not in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from edge.batching.assembler import Assembler
from edge.drivers.contract import LineTime
from edge.drivers.meter_model import ModelStatus
from edge.drivers.settings import BusConfig, DeviceConfig
from edge.drivers.table import LoadDriver, load_driver
from edge.outbox.entry import Entry, seal
from metering.messages import topics
from metering.messages.data import to_properties
from metering.readings import EARLIEST_MS, Reading, Row, Value

#: Share of a bus that polls may take.
MAX_BUSY = 0.95
_MONTH_S = 30 * 86400
_HORIZON_S = 600.0
# Devices read less often than this get a horizon of their own: one poll.
_SELDOM_S = 60.0
# MQTT 5 PUBLISH without topic, properties and body; TCP and IPv4 headers; the PUBACK and what carries it; the
# share of an acknowledgement. Each user property has 5 bytes besides its texts (MQTT 5.0, 2.2.2 and 3.3).
_PUBLISH_BYTES = 10
_PROPERTY_BYTES = 5
_PACKET_BYTES = 40
_ANSWER_BYTES = 44
# A counter of some years and a gauge with all its digits.
_COUNTER = 123_456_780
_GAUGE = 1234.567


class GatewayPlan(Protocol):
    """What of a gateway decides its cost (`edge.config.gateway.GatewayConfig`)."""

    @property
    def park(self) -> str:
        """Park id."""

    @property
    def gateway(self) -> str:
        """Gateway id."""

    @property
    def buses(self) -> tuple[BusConfig, ...]:
        """All lines."""

    @property
    def devices(self) -> tuple[DeviceConfig, ...]:
        """All devices."""

    def devices_on(self, bus: str) -> tuple[DeviceConfig, ...]:
        """Return the devices of a bus."""


@dataclass(frozen=True, slots=True)
class BusForecast:
    """How busy a bus will be.

    Attributes:
        bus: Name.
        meters: Measuring points on it.
        requests: Read requests if every device is polled once.
        cycle_s: Time that these take.
        shortest_poll_s: The shortest poll period on it.
        busy: Share of the time that polls take, 0 to 1 and above.
    """

    bus: str
    meters: int
    requests: int
    cycle_s: float
    shortest_poll_s: float
    busy: float

    @property
    def fits(self) -> bool:
        """Whether all polls can be made at their rate, and one cycle within the shortest period."""
        return self.busy <= MAX_BUSY


@dataclass(frozen=True, slots=True)
class UplinkForecast:
    """What the uplink will carry.

    Attributes:
        rows_per_day: Rows of all meters.
        mb_per_month: Megabytes (10^6 bytes) in 30 days.
    """

    rows_per_day: float
    mb_per_month: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """All of it."""

    buses: tuple[BusForecast, ...]
    uplink: UplinkForecast
    unverified: tuple[str, ...]


def forecast(config: GatewayPlan, *, drivers: LoadDriver = load_driver) -> Forecast:
    """Predict bus times and uplink volume of a gateway.

    Args:
        config: The gateway.
        drivers: Gives the driver of a protocol.
    """
    profiles = {device.profile.model: device.profile for device in config.devices}
    lines = [_Line(bus, config.devices_on(bus.name), drivers) for bus in config.buses]
    return Forecast(
        buses=tuple(_bus(line) for line in lines),
        uplink=_uplink(config, lines),
        unverified=tuple(
            m for m, profile in sorted(profiles.items()) if profile.status is ModelStatus.UNVERIFIED
        ),
    )


class _Line:
    """A bus, its devices, and what a poll of each costs."""

    def __init__(self, bus: BusConfig, devices: tuple[DeviceConfig, ...], drivers: LoadDriver) -> None:
        self.name = bus.name
        self.devices = devices
        self.costs: list[LineTime] = [
            drivers(device.profile.protocol).line_time(device, bus) for device in devices
        ]


def _bus(line: _Line) -> BusForecast:
    devices = line.devices
    return BusForecast(
        bus=line.name,
        meters=sum(len(device.points) for device in devices),
        requests=sum(cost.requests for cost in line.costs),
        cycle_s=sum(cost.seconds for cost in line.costs),
        shortest_poll_s=min((device.poll_s for device in devices), default=0.0),
        busy=sum(cost.seconds / device.poll_s for cost, device in zip(line.costs, devices, strict=True)),
    )


def _uplink(config: GatewayPlan, lines: Sequence[_Line]) -> UplinkForecast:
    topic = topics.data(config.park, config.gateway)
    bytes_per_s = sum(
        sum(_wire_bytes(entry, topic) for entry in _entries(config, lines, horizon_s)) / horizon_s
        for horizon_s in {_horizon_s(device) for device in config.devices}
    )
    rows = sum(86400 / device.poll_s * len(device.points) for device in config.devices)
    return UplinkForecast(rows_per_day=rows, mb_per_month=bytes_per_s * _MONTH_S / 1e6)


def _horizon_s(device: DeviceConfig) -> float:
    return _HORIZON_S if device.poll_s <= _SELDOM_S else device.poll_s


def _wire_bytes(entry: Entry, topic: str) -> int:
    properties = to_properties(entry.tag, backlog=False, deflated=entry.is_deflated)
    extra = sum(_PROPERTY_BYTES + len(name) + len(value) for name, value in properties)
    return len(entry.body) + len(topic) + extra + _PUBLISH_BYTES + _PACKET_BYTES + _ANSWER_BYTES


def _entries(config: GatewayPlan, lines: Sequence[_Line], horizon_s: float) -> Iterator[Entry]:
    """Pack the rows of the devices with this horizon as the gateway would."""
    assembler = Assembler(gateway=config.gateway, epoch="0" * 16)
    for at_s, reading in sorted(_arrivals(lines, horizon_s), key=lambda arrival: arrival[0]):
        maybe_closed = assembler.maybe_close(now_s=at_s)
        if maybe_closed is not None:
            yield seal(maybe_closed)
        yield from map(seal, assembler.add(reading, now_s=at_s))
    maybe_last = assembler.flush()
    if maybe_last is not None:
        yield seal(maybe_last)


def _arrivals(lines: Sequence[_Line], horizon_s: float) -> Iterator[tuple[float, Reading]]:
    """Yield each row with the second at which it arrives: devices of a bus one after the other."""
    for line in lines:
        ends_s = accumulate(cost.seconds for cost in line.costs)
        for device, end_s in zip(line.devices, ends_s, strict=True):
            polls = int(horizon_s // device.poll_s) if _horizon_s(device) == horizon_s else 0
            for poll in range(polls):
                at_s = poll * device.poll_s + end_s
                yield from ((at_s, reading) for reading in _readings(device, at_s))


def _readings(device: DeviceConfig, at_s: float) -> Iterator[Reading]:
    for point in device.points:
        specs = device.profile.channel(point.channel)
        quantities = tuple(spec.quantity for spec in specs)
        values: tuple[Value, ...] = tuple(_COUNTER if spec.is_counter else _GAUGE for spec in specs)
        taken_at_ms = EARLIEST_MS + round(at_s * 1000)
        yield Reading(device.profile.medium, quantities, Row(point.meter, taken_at_ms, 0, values))
