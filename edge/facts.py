"""What the gateway's configuration tells about its meters before any was asked: for the first birth. Pure."""

from collections.abc import Mapping

from edge.config import DeviceConfig, Point
from edge.decode import compile_decoder
from edge.errors import ImplausibleValue
from edge.plan import Block
from metering.birth import CounterFacts, MeterFacts


def configured_facts(device: DeviceConfig) -> dict[str, MeterFacts]:
    """Give the facts of a device's meters.

    Counters whose step depends on a register of the meter are left out; they are known once it was read.
    """
    return {
        point.meter: MeterFacts(
            model=device.profile.model,
            profile=device.profile.hash,
            medium=device.profile.medium,
            poll_s=device.poll_s,
            counters=_counters(device, point),
        )
        for point in device.points
    }


def _counters(device: DeviceConfig, point: Point) -> Mapping[str, CounterFacts]:
    found: dict[str, CounterFacts] = {}
    for spec in device.profile.channel(point.channel):
        register = spec.register
        alone = Block(register.function, register.address, register.count)
        try:
            found |= compile_decoder([spec], [alone], wiring=device.wiring).counters
        except ImplausibleValue:
            continue
    return found
