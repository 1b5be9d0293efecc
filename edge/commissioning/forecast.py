"""What a configuration will cost, before anything is connected: bus time and uplink volume. Pure.

A bus fits while its polls take at most `MAX_BUSY` of the time: the rest belongs to the probes of mute meters
(together at most 5 % of the line). The uplink is predicted by packing the rows of ten minutes, and of one
round of the meters that are read seldom, with the same assembler and seal that the gateway uses, with values
as long as real ones, plus what MQTT, TCP and IP add to each message. Resends, TLS handshakes, births and
status messages are not in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from edge.batching.assembler import Assembler
from edge.config.gateway import GatewayConfig
from edge.drivers.modbus.plan import ReadPlan, block_time_s, cost_of_request
from edge.drivers.modbus.profile import Profile, RegisterSpec, Status
from edge.drivers.settings import BusConfig, DeviceConfig
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


def forecast(config: GatewayConfig) -> Forecast:
    """Predict bus times and uplink volume of a gateway."""
    profiles = {device.profile.model: device.profile for device in config.devices}
    return Forecast(
        buses=tuple(_bus(bus, config.devices_on(bus.name)) for bus in config.buses),
        uplink=_uplink(config),
        unverified=tuple(m for m, profile in sorted(profiles.items()) if profile.status is Status.UNVERIFIED),
    )


def _specs(device: DeviceConfig) -> tuple[RegisterSpec, ...]:
    return tuple(spec for point in device.points for spec in device.profile.channel(point.channel))


def _plan(bus: BusConfig, profile: Profile, specs: tuple[RegisterSpec, ...]) -> ReadPlan:
    cost = cost_of_request(bus.line, answer_delay_s=profile.answer_delay_s)
    registers = (spec.register for spec in specs)
    return ReadPlan.of(registers, request_cost=cost, max_registers=profile.max_registers)


def poll_time_s(bus: BusConfig, device: DeviceConfig) -> float:
    """Return how long one poll of a device keeps the bus busy, its pauses included."""
    blocks = _plan(bus, device.profile, _specs(device)).blocks
    delay_s = device.profile.answer_delay_s
    return sum(block_time_s(block, bus.line, answer_delay_s=delay_s) + bus.pause_s for block in blocks)


def _bus(bus: BusConfig, devices: tuple[DeviceConfig, ...]) -> BusForecast:
    times = [poll_time_s(bus, device) for device in devices]
    return BusForecast(
        bus=bus.name,
        meters=sum(len(device.points) for device in devices),
        requests=sum(len(_plan(bus, device.profile, _specs(device)).blocks) for device in devices),
        cycle_s=sum(times),
        shortest_poll_s=min((device.poll_s for device in devices), default=0.0),
        busy=sum(time / device.poll_s for time, device in zip(times, devices, strict=True)),
    )


def _uplink(config: GatewayConfig) -> UplinkForecast:
    topic = topics.data(config.park, config.gateway)
    bytes_per_s = sum(
        sum(_wire_bytes(entry, topic) for entry in _entries(config, horizon_s)) / horizon_s
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


def _entries(config: GatewayConfig, horizon_s: float) -> Iterator[Entry]:
    """Pack the rows of the devices with this horizon as the gateway would."""
    assembler = Assembler(gateway=config.gateway, epoch="0" * 16)
    for at_s, reading in sorted(_arrivals(config, horizon_s), key=lambda arrival: arrival[0]):
        maybe_closed = assembler.maybe_close(now_s=at_s)
        if maybe_closed is not None:
            yield seal(maybe_closed)
        yield from map(seal, assembler.add(reading, now_s=at_s))
    maybe_last = assembler.flush()
    if maybe_last is not None:
        yield seal(maybe_last)


def _arrivals(config: GatewayConfig, horizon_s: float) -> Iterator[tuple[float, Reading]]:
    """Yield each row with the second at which it arrives: devices of a bus one after the other."""
    for bus in config.buses:
        devices = config.devices_on(bus.name)
        ends_s = accumulate(poll_time_s(bus, device) for device in devices)
        for device, end_s in zip(devices, ends_s, strict=True):
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
