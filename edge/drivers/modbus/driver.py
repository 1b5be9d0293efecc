"""Modbus, as `edge.drivers.contract` wants a protocol."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from edge.drivers.contract import DriverLine, LineTime, MonotonicNs, OpenLine
from edge.drivers.modbus.device import ModbusDevice, Wire
from edge.drivers.modbus.inspection import ModbusInspection
from edge.drivers.modbus.plan import ReadPlan, block_time_s, cost_of_request
from edge.drivers.modbus.profile import as_profile
from edge.drivers.settings import BusConfig, DeviceAddress, DeviceConfig


class ModbusLine(DriverLine, Wire, Protocol):
    """An open line that reads blocks (`edge.drivers.modbus.bus.Bus`)."""


class ModbusDriver:
    """Reads tables of registers over TCP, a serial line, or a converter.

    Args:
        open_bus: How lines are opened; tests have lines of their own.
    """

    def __init__(self, open_bus: OpenLine[ModbusLine] | None = None) -> None:
        self._open_bus = open_bus or _open_bus

    def open_line(
        self, bus: BusConfig, on_late: Callable[[DeviceAddress], None]
    ) -> AbstractAsyncContextManager[ModbusLine]:
        """Return a line that is closed when the block ends."""
        return self._open_bus(bus, on_late)

    def device(self, settings: DeviceConfig, bus: BusConfig, clock: MonotonicNs) -> ModbusDevice:
        """Return a device, without asking it anything."""
        return ModbusDevice(settings, bus, clock)

    def inspection(self, settings: DeviceConfig, bus: BusConfig, clock: MonotonicNs) -> ModbusInspection:
        """Return what reads a device by hand."""
        return ModbusInspection(settings, bus, clock)

    def line_time(self, settings: DeviceConfig, bus: BusConfig) -> LineTime:
        """Return what one poll costs if the device gives everything and all of it is read."""
        profile, timing = as_profile(settings.profile), bus.timing
        delay_s = profile.answer_delay_s
        blocks = ReadPlan.of(
            (spec.register for point in settings.points for spec in profile.channel(point.channel)),
            request_cost=cost_of_request(timing, answer_delay_s=delay_s),
            max_registers=profile.max_registers,
        ).blocks
        seconds = sum(block_time_s(block, timing, answer_delay_s=delay_s) + bus.pause_s for block in blocks)
        return LineTime(len(blocks), seconds)


def _open_bus(
    bus: BusConfig, on_late: Callable[[DeviceAddress], None]
) -> AbstractAsyncContextManager[ModbusLine]:
    from edge.drivers.modbus.bus import Bus  # noqa: PLC0415 - `check` opens no line and needs no pymodbus

    return Bus(bus, on_late=on_late)


#: What `edge.drivers.table` loads.
DRIVER = ModbusDriver()
