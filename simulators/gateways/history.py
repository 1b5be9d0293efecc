"""Rows of past days, as a gateway would have read them every five minutes, in ordinary messages.

Contract:
- Instants are whole multiples of the step, from `days` before up to, and without, `until_ms`: the first live
  row. Values come from the same loads as the live ones through the same registers, so that each counter
  continues where history ends.
- A message holds few meters and many instants, so that it is late data of few series.
- Everything sent is accounted for by the simulator itself: read = stored + quarantined + held.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge.drivers.modbus.decode import Decoder, compile_decoder, read_registers
from edge.drivers.modbus.plan import Block, plan
from edge.drivers.modbus.profile import Register
from metering.readings import Row, RowBlock
from simulators.meters.devices import build_device
from simulators.meters.image import Image, Request
from simulators.meters.meter import FlowOverTime
from simulators.wires import GatewayWires, MeterOnBus

STEP_MS = 300_000
_DAY_MS = 86_400_000
#: Instants of a message: 1 day and 16 hours.
_INSTANTS = 480
#: Quantities of a meter in history; the others are only live.
QUANTITIES = frozenset(
    {
        "energy_import_wh",
        "energy_export_wh",
        "active_power_w",
        "volume_l",
        "volume_reverse_l",
        "flow_m3h",
    }
)


@dataclass(frozen=True, slots=True)
class HistoricMeter:
    """A meter that can be read at any instant, over its registers.

    Attributes:
        device: Its registers.
        decoder: As the gateway would decode them.
    """

    name: str
    device: Image
    decoder: Decoder

    def row(self, instant_ms: int) -> Row:
        """Return what the gateway would have read."""
        answers = {block: _read(self.device, block, instant_ms) for block in self.decoder.blocks}
        found = self.decoder.decode(answers)
        return Row(self.name, instant_ms, found.quality, found.values)

    def block(self, instants: Sequence[int]) -> RowBlock:
        """Return the rows of many instants."""
        rows = tuple(self.row(instant_ms) for instant_ms in instants)
        return RowBlock(self.device.profile.medium, self.decoder.quantities, rows)


def historic_meters(gateway: GatewayWires, loads: Mapping[str, FlowOverTime]) -> tuple[HistoricMeter, ...]:
    """Return the meters of a gateway."""
    return tuple(meter for wired in gateway.meters for meter in _of_device(gateway.gateway, wired, loads))


def _of_device(gateway: str, wired: MeterOnBus, loads: Mapping[str, FlowOverTime]) -> Iterator[HistoricMeter]:
    device = build_device(f"{gateway}/{wired.bus}", wired, loads)
    profile = device.profile
    setup_registers = profile.setup_registers
    answers = {block: _read(device, block, 0) for block in _without_holes(setup_registers)}
    setup = read_registers(setup_registers, answers)
    for channel, name in wired.by_channel.items():
        specs = [spec for spec in profile.channel(channel) if spec.quantity in QUANTITIES]
        blocks = _without_holes(spec.register for spec in specs)
        yield HistoricMeter(name, device, compile_decoder(specs, blocks, wiring=wired.wiring, setup=setup))


def _without_holes(registers: Iterable[Register]) -> tuple[Block, ...]:
    return plan(registers, request_cost=0)


def _read(device: Image, block: Block, instant_ms: int) -> bytes:
    request = Request(unit=0, function=block.function, address=block.address, count=block.count)
    return device.read(request, instant_ms).data


@dataclass(frozen=True, slots=True)
class HistorySpan:
    """Which instants history holds.

    Attributes:
        until_ms: The first live row; history ends before it.
        days: How far back it goes.
    """

    until_ms: int
    days: int

    @property
    def instants(self) -> range:
        """The instants, ascending."""
        last = (self.until_ms - 1) // STEP_MS * STEP_MS
        first = (last - self.days * _DAY_MS) // STEP_MS * STEP_MS
        return range(first, last + 1, STEP_MS)

    @property
    def chunks(self) -> Iterator[range]:
        """The instants of one message each."""
        instants = self.instants
        return (instants[at : at + _INSTANTS] for at in range(0, len(instants), _INSTANTS))
