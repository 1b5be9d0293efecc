"""A running simulated park: its lines on real wires, and the control socket through which faults are ordered.

Each line listens where the gateway's own configuration looks for it: a TCP address of this machine, or a path
at which a link to a pty is made. Everything ends with the `async with` block.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from simulators.errors import OrderRefused
from simulators.lines.answer_log import AnswerLog
from simulators.lines.line import Line, SharedResources
from simulators.lines.rtu_line import RtuTiming
from simulators.lines.serial_line import serial_line
from simulators.lines.tcp_line import TCP_ANSWER_S, rtu_over_tcp_line, tcp_line
from simulators.loads.flows import Load, build_loads, days_until
from simulators.loads.shapes import Calendar
from simulators.meters.devices import build_device
from simulators.meters.faults import LINE_FAULTS, FaultKind, Faults
from simulators.meters.meter import SimulatedMeter
from simulators.wires import BusEntry, GatewayWires, Wires

_HIGHEST_CODE = 255


@dataclass(frozen=True, slots=True)
class ParkOptions:
    """How a park is simulated.

    Attributes:
        origin_ms: Where counters begin; see `simulators.loads.flows`.
        maybe_answers: File for the log of answers.
        counting: Whether each answer raises the counters by one step, instead of a load.
    """

    origin_ms: int
    maybe_answers: Path | None = None
    counting: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A fault as ordered; `for_s` in seconds, `value` as in `simulators.meters.faults.Fault`."""

    target: str
    kind: FaultKind
    for_s: float
    value: float | None = None


class RunningPark:
    """The lines of a park, by name (`<gateway>/<bus>`)."""

    def __init__(self, wires: Wires, loads: Mapping[str, Load], options: ParkOptions, log: AnswerLog) -> None:
        self._faults = Faults(monotonic_s=time.monotonic)
        self._around = SharedResources(self._faults, log, wall_ms)
        self.meters: dict[str, SimulatedMeter] = {}
        self.lines: dict[str, tuple[BusEntry, Line]] = {}
        for gateway in wires.gateways:
            for bus in gateway.buses:
                self._add_line(gateway, bus, loads, counting=options.counting)

    def _add_line(
        self, gateway: GatewayWires, bus: str, loads: Mapping[str, Load], *, counting: bool
    ) -> None:
        name = f"{gateway.gateway}/{bus}"
        devices = {
            meter.address: build_device(name, meter, loads, counting=counting)
            for meter in gateway.meters
            if meter.bus == bus
        }
        self.meters |= {meter.name: meter for device in devices.values() for meter in device.meters}
        entry = gateway.buses[bus]
        answer_s = TCP_ANSWER_S if entry.tcp else None
        self.lines[name] = (entry, Line(name, devices, self._around, answer_s=answer_s))

    def carry_out(self, order: Order) -> str:
        """Begin a fault, and return a sentence about it.

        Raises:
            OrderRefused: for an unknown target, or a fault that it cannot have.
        """
        known = self.lines if order.kind in LINE_FAULTS else self.meters
        if order.target not in known:
            what = "line" if order.kind in LINE_FAULTS else "meter"
            raise OrderRefused(f"no {what} {order.target!r}; there are {', '.join(sorted(known))}")
        if order.kind is FaultKind.WRONG_CRC and self._is_on_tcp(order.target):
            raise OrderRefused(f"{order.target} is on Modbus TCP, which has no CRC to be wrong")
        if order.kind is FaultKind.EXCEPTION and not 1 <= (order.value or 1) <= _HIGHEST_CODE:
            raise OrderRefused(f"{order.value:g} is no exception code; they are 1 to {_HIGHEST_CODE}")
        if order.kind is FaultKind.RESET:
            self.meters[order.target].reset(wall_ms())
            return f"{order.target}: counters begin at 0 again"
        self._faults.order(order.target, order.kind, for_s=order.for_s, value=order.value)
        return f"{order.target}: {order.kind} for {order.for_s:g} s"

    def _is_on_tcp(self, meter: str) -> bool:
        return any(
            entry.tcp is not None
            and any(one.name == meter for image in line.devices.values() for one in image.meters)
            for entry, line in self.lines.values()
        )


def wall_ms() -> int:
    """Return UTC ms since 1970."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def park_on_wires(wires: Wires, options: ParkOptions) -> AsyncIterator[RunningPark]:
    """Run all lines of a park while the block runs.

    Raises:
        OSError: when a line cannot listen where its gateway looks for it.
        ValueError: for an unknown profile or district.
    """
    meters = [meter for gateway in wires.gateways for meter in gateway.meter_ids]
    days = days_until(wall_ms(), options.origin_ms)
    loads = build_loads(wires.loads, meters, Calendar(options.origin_ms, days, wires.timezone))
    async with AsyncExitStack() as stack:
        log = stack.enter_context(AnswerLog(options.maybe_answers))
        park = RunningPark(wires, loads, options, log)
        for entry, line in park.lines.values():
            await _open(stack, entry, line)
        yield park


async def _open(stack: AsyncExitStack, entry: BusEntry, line: Line) -> None:
    timing = RtuTiming.of(baud=entry.baud, parity=entry.parity, stop_bits=entry.stop_bits)
    if entry.tcp is not None:
        await stack.enter_async_context(tcp_line(line, *_address(entry.tcp)))
    elif entry.rtu_over_tcp is not None:
        host, port = _address(entry.rtu_over_tcp)
        await stack.enter_async_context(rtu_over_tcp_line(line, host, port, timing))
    elif entry.serial is not None:
        await stack.enter_async_context(serial_line(line, Path(entry.serial), timing))


def _address(written: str) -> tuple[str, int]:
    host, _, port = written.rpartition(":")
    return host, int(port)
