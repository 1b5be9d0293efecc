"""A simulated device as registers: values in, the bytes of an answer out, by the catalogue's tables. Pure.

The reverse of `edge.drivers.modbus.decode`: the table by which the gateway reads a meter decides what the
meter shows, with ratios, direction, orders of bytes, exponents beside the value, steps and roll-over. What
the table does not contain, between its first and last register, reads as 0; beyond them the device refuses
the address.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from fractions import Fraction

from edge.drivers.modbus.profile import Profile, Register, RegisterSpec, ScaleRegister
from edge.drivers.modbus.registers import Encoding, Raw, encode
from edge.drivers.modbus.scale import raw_value, scale_factor
from simulators.meters.meter import COUNTERS, PHASE_QUANTITIES, SimulatedMeter, Values

#: What scale registers hold: 10^1 where an exponent is free to choose, else the table's first code.
_EXPONENT = 1


class ExceptionCode(IntEnum):
    """Why a device refuses (MODBUS Application Protocol V1.1b3, 7)."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4


class Refused(Exception):
    """The device answers with an exception."""

    def __init__(self, code: ExceptionCode) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """A read request as it came over the wire."""

    unit: int
    function: int
    address: int
    count: int

    @property
    def end(self) -> int:
        """Address behind the last register."""
        return self.address + self.count

    def touches(self, register: Register) -> bool:
        """Tell whether any register of a value is asked for."""
        return (
            register.function == self.function and register.address < self.end and self.address < register.end
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """What an answer shows: its bytes, and the values of each meter in it."""

    data: bytes
    values: Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class _Cell:
    """A register that shows a quantity of a meter.

    Attributes:
        factor: From raw to primary base unit.
        sign: -1 where the sign turns with the transformers.
    """

    meter: SimulatedMeter
    spec: RegisterSpec
    quantity: str
    factor: Fraction
    sign: int

    def bytes_for(self, value: float) -> bytes:
        modulus = self.spec.modulus
        exact = Fraction(value) * self.sign
        if modulus is not None:
            exact %= modulus * self.factor
        return encode(self.spec.register.layout, raw_value(self.spec, exact, self.factor))


@dataclass(frozen=True, slots=True)
class _Ready:
    """A kind of answer, prepared.

    Attributes:
        fixed: Its bytes that never change, with room for the others.
        cells: What to fill in, by meter.
        counted: Meters whose counters it shows.
        in_detail: Whether it shows phases.
    """

    fixed: bytes
    cells: Mapping[SimulatedMeter, tuple[_Cell, ...]]
    counted: tuple[SimulatedMeter, ...]
    in_detail: bool


class Image:
    """The registers of one device, with one meter per channel."""

    def __init__(self, profile: Profile, meters: Mapping[int, SimulatedMeter], *, serial: int) -> None:
        self.profile = profile
        self.meters = tuple(meters.values())
        self._fixed = dict(_fixed(profile, serial))
        setup = {scale.register: _chosen(scale) for scale in _scales(profile)}
        self._cells = tuple(
            _cell(meter, spec, scale_factor(spec.scale, setup))
            for channel, meter in meters.items()
            for spec in profile.channel(channel)
        )
        self._spans = self._find_spans()
        self._made_ready: dict[Request, _Ready] = {}

    def read(self, request: Request, instant_ms: int) -> Shown:
        """Return what the device answers.

        Raises:
            Refused: with the exception that it answers instead.
        """
        self._check(request)
        ready = self._ready(replace(request, unit=0))
        data = bytearray(ready.fixed)
        for meter in ready.counted:
            meter.note_answer()
        shown: dict[str, dict[str, float]] = {}
        for meter, cells in ready.cells.items():
            values = meter.values(instant_ms, in_detail=ready.in_detail)
            shown[meter.name] = {cell.quantity: values[cell.quantity] for cell in cells}
            for cell in cells:
                _put(data, request, cell.spec.register, cell.bytes_for(values[cell.quantity]))
        return Shown(bytes(data), shown)

    def _ready(self, request: Request) -> "_Ready":
        """Return what stays the same from one answer to the next; gateways repeat the same requests."""
        maybe_ready = self._made_ready.get(request)
        if maybe_ready is not None:
            return maybe_ready
        fixed = bytearray(2 * request.count)
        for register, content in self._fixed.items():
            if request.touches(register):
                _put(fixed, request, register, content)
        touched = [cell for cell in self._cells if request.touches(cell.spec.register)]
        counted = {cell.meter: None for cell in touched if cell.quantity in COUNTERS}
        ready = _Ready(
            fixed=bytes(fixed),
            cells={
                meter: tuple(cell for cell in touched if cell.meter is meter)
                for meter in self.meters
                if any(cell.meter is meter for cell in touched)
            },
            counted=tuple(counted),
            in_detail=any(cell.quantity in PHASE_QUANTITIES for cell in touched),
        )
        self._made_ready[request] = ready
        return ready

    def _check(self, request: Request) -> None:
        if request.function not in self._spans:
            raise Refused(ExceptionCode.ILLEGAL_FUNCTION)
        if not 1 <= request.count <= self.profile.max_registers:
            raise Refused(ExceptionCode.ILLEGAL_VALUE)
        if not any(
            first <= request.address and request.end <= last for first, last in self._spans[request.function]
        ):
            raise Refused(ExceptionCode.ILLEGAL_ADDRESS)

    def _find_spans(self) -> dict[int, list[tuple[int, int]]]:
        """Return the addresses that may be read, per function: fixed values, and the quantities' span."""
        found = [(r.function, r.address, r.end) for r in self._fixed]
        for function in {cell.spec.register.function for cell in self._cells}:
            mine = [c.spec.register for c in self._cells if c.spec.register.function == function]
            mine += [scale.register for scale in _scales(self.profile) if scale.register.function == function]
            found.append((function, min(r.address for r in mine), max(r.end for r in mine)))
        spans: dict[int, list[tuple[int, int]]] = {}
        for function, first, last in sorted(found):
            _add_span(spans.setdefault(function, []), first, last)
        return spans


def _add_span(spans: list[tuple[int, int]], first: int, last: int) -> None:
    """Add a span to ascending ones, as one with the last where they meet."""
    if spans and first <= spans[-1][1]:
        spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
    else:
        spans.append((first, last))


def _put(data: bytearray, request: Request, register: Register, found: bytes) -> None:
    """Copy the part of a value's registers that is asked for."""
    first = max(register.address, request.address)
    last = min(register.end, request.end)
    part = found[2 * (first - register.address) : 2 * (last - register.address)]
    at = 2 * (first - request.address)
    data[at : at + len(part)] = part


def _scales(profile: Profile) -> Iterator[ScaleRegister]:
    for spec in profile.registers:
        yield from spec.scale.registers


def _fixed(profile: Profile, serial: int) -> Iterator[tuple[Register, bytes]]:
    """Return what never changes: identity, serial number and scale registers."""
    for scale in _scales(profile):
        yield scale.register, encode(scale.register.layout, _chosen(scale))
    if profile.identity is not None:
        register = profile.identity.register
        yield register, encode(register.layout, profile.identity.expected[0])
    if profile.serial_number is not None:
        register = profile.serial_number
        yield register, encode(register.layout, _serial(register, serial))


def _serial(register: Register, serial: int) -> Raw:
    """Return a serial number that shows that it is simulated: `SIM` where text fits."""
    if register.layout.encoding is not Encoding.TEXT:
        return serial
    return f"SIM{serial}"[: 2 * register.count]


def _chosen(scale: ScaleRegister) -> int:
    return scale.factors[0][0] if scale.factors else _EXPONENT


def _cell(meter: SimulatedMeter, spec: RegisterSpec, scale: Fraction) -> _Cell:
    wiring = meter.wiring
    return _Cell(
        meter=meter,
        spec=spec,
        quantity=wiring.named(spec.quantity),
        factor=scale * wiring.ratio(spec.quantity),
        sign=-1 if wiring.is_reversed and spec.directed else 1,
    )
