"""Simulated devices, built from the meters in a gateway's configuration."""

import zlib
from collections.abc import Mapping

from edge.catalogue.models import load
from simulators.meters.image import Image
from simulators.meters.meter import FlowOverTime, SimulatedMeter
from simulators.wires import MeterOnBus

_LOWEST_SERIAL = 10_000
_SERIALS = 90_000


def build_device(
    line: str, wired: MeterOnBus, loads: Mapping[str, FlowOverTime], *, counting: bool = False
) -> Image:
    """Return the device at one address.

    Args:
        line: `<gateway>/<bus>`; it and the address make the serial number.
        wired: Model, address, meters and transformers.
        loads: What flows, by meter.
        counting: Whether each answer raises the counters by one step.
    """
    profile = load(wired.model)
    phases = 3 if any(spec.quantity == "voltage_l2_v" for spec in profile.registers) else 1
    meters = {
        channel: SimulatedMeter(
            meter,
            loads[meter],
            medium=profile.medium,
            phases=phases,
            wiring=wired.wiring,
            counting=counting,
        )
        for channel, meter in wired.by_channel.items()
    }
    serial = _LOWEST_SERIAL + zlib.crc32(f"{line}/{wired.address}".encode()) % _SERIALS
    return Image(profile, meters, serial=serial)
