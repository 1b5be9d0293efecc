"""What a meter model is: frozen types that the catalogue's tables become.

Invariants:
- Addresses are 0-based as on the wire (a manual's 30001 or 40001 is address 0).
- A register's value in its quantity's base unit is raw x scale, and every scale is an exact fraction.
- `step` and `modulus` of a counter are in the register's own units, before the scale: so they follow scale
  registers and transformer ratios by themselves. A step is the smallest rise that the meter shows; the
  modulus is the raw value at which it starts again from 0, `None` where no source tells it.
- Registers of a model with channels stand for channel 1; channel n lies `stride` x (n - 1) further.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from fractions import Fraction

from edge.drivers.meter_model import MeterModel, ModelStatus, Plausible
from edge.drivers.modbus.registers import Layout
from edge.drivers.settings import DeviceAddress
from metering.quantities import Medium

#: Name of this driver.
PROTOCOL = "modbus"
_ADDRESSES = 65536


class Function(IntEnum):
    """The Modbus functions that read registers; no other is ever sent to a meter."""

    HOLDING = 3
    INPUT = 4


class PollClass(StrEnum):
    """How often a quantity is worth reading: at each poll, or now and then."""

    FAST = "fast"
    SLOW = "slow"


class Evidence(StrEnum):
    """Where example bytes come from."""

    MANUAL = "manual"
    CAPTURE = "capture"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class Register:
    """Where a value lies.

    Raises:
        ValueError: when it reaches over the end of the address space.
    """

    function: Function
    address: int
    layout: Layout

    def __post_init__(self) -> None:
        if not 0 <= self.address <= self.end <= _ADDRESSES:
            raise ValueError(f"registers {self.address}..{self.end - 1} are not all addresses")

    @property
    def count(self) -> int:
        """How many registers it takes."""
        return self.layout.registers

    @property
    def end(self) -> int:
        """Address behind it."""
        return self.address + self.count

    @property
    def place(self) -> str:
        """Where it lies, in short."""
        return f"{self.function.name.lower()} {self.address}"

    def shifted(self, offset: int) -> "Register":
        """Return the same register of another channel."""
        return replace(self, address=self.address + offset) if offset else self


@dataclass(frozen=True, slots=True)
class ScaleRegister:
    """A register that tells how to scale another; read at every connect.

    Attributes:
        register: Where it lies.
        factors: Factor per code; empty when the register holds a decimal exponent (factor 10^value).
    """

    register: Register
    factors: tuple[tuple[int, Fraction], ...] = ()


@dataclass(frozen=True, slots=True)
class Scale:
    """Factor from raw to base unit: `factor` x that of each scale register."""

    factor: Fraction = Fraction(1)
    registers: tuple[ScaleRegister, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisterSpec:
    """One quantity of a model.

    Attributes:
        quantity: Name in the vocabulary, or of the park's own.
        register: Where it lies.
        scale: How raw becomes the base unit.
        step: Smallest rise of a counter, in raw units.
        modulus: Raw value at which a counter starts again from 0; `None` = unknown.
        poll: How often to read it.
        is_counter: Whether it only ever rises, and is rounded to whole base units.
        directed: Whether the sign turns with the transformer's direction.
    """

    quantity: str
    register: Register
    scale: Scale = Scale()
    step: Fraction = Fraction(1)
    modulus: Fraction | None = None
    poll: PollClass = PollClass.FAST
    is_counter: bool = False
    directed: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """A register that tells the model.

    Attributes:
        register: Read alone: some meters refuse it inside a larger block.
        expected: Values of this model, numbers or texts.
    """

    register: Register
    expected: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A document that the table comes from."""

    title: str
    version: str
    place: str


@dataclass(frozen=True, slots=True)
class Example:
    """Bytes of registers and what they mean.

    Attributes:
        evidence: Where the bytes come from; *computed* ones are by hand or `struct`, never by our encoder.
        note: Source and page, or how they were computed.
        blocks: Function, first address and bytes.
        values: Quantity and expected value in base units; `None` = invalid.
        channel: Which channel.
    """

    evidence: Evidence
    note: str
    blocks: tuple[tuple[Function, int, bytes], ...]
    values: tuple[tuple[str, int | float | None], ...]
    channel: int = 1


@dataclass(frozen=True, slots=True)
class SerialDefaults:
    """How the meter's serial port is set when it leaves the factory."""

    baud: int
    parity: str
    stop_bits: int
    address: int


@dataclass(frozen=True, slots=True)
class Profile:
    """One meter model.

    Attributes:
        model: Catalogue id (`eastron-sdm630`).
        maker: Who makes it.
        names: What it says on the front, and how else people call it.
        medium: What flows.
        sources: Where the table comes from.
        agreeing: Sources that were compared and agree, independent of each other.
        examples: Example bytes.
        registers: One per quantity, for channel 1.
        strides: Registers between channels, per quantity; empty for a model without channels.
        channels: How many meters are in the device.
        max_registers: Most registers that the meter gives in one answer.
        answer_delay_s: Usual time from request to answer, for predictions only.
        identity: How to tell the model, if it can be told by a register.
        plausible: How to guess it, if not.
        serial_number: Where the serial number lies.
        serial: Factory settings of the serial port; `None` where no source tells them.
        notes: What a technician should know.
        hash: Changes whenever what is read or how it is understood changes.
    """

    model: str
    maker: str
    names: tuple[str, ...]
    medium: Medium
    sources: tuple[Source, ...]
    agreeing: tuple[str, ...]
    examples: tuple[Example, ...]
    registers: tuple[RegisterSpec, ...]
    hash: str
    strides: tuple[tuple[str, int], ...] = ()
    channels: int = 1
    max_registers: int = 125
    answer_delay_s: float = 0.05
    identity: Identity | None = None
    plausible: tuple[Plausible, ...] = ()
    serial_number: Register | None = None
    serial: SerialDefaults | None = None
    notes: tuple[str, ...] = ()

    @property
    def protocol(self) -> str:
        """Name of the driver."""
        return PROTOCOL

    @property
    def status(self) -> ModelStatus:
        """Verified only by bytes from a manual or a capture, or by two sources that agree."""
        by_bytes = any(example.evidence is not Evidence.COMPUTED for example in self.examples)
        by_sources = len(self.agreeing) > 1
        return ModelStatus.VERIFIED if by_bytes or by_sources else ModelStatus.UNVERIFIED

    @property
    def has_channels(self) -> bool:
        """Whether each channel is a meter of its own."""
        return self.channels > 1

    @property
    def takes_ratios(self) -> bool:
        """Whether CT and VT ratios mean anything for this model."""
        return self.medium is Medium.ELECTRICITY

    def channel(self, number: int = 1) -> tuple[RegisterSpec, ...]:
        """Return the registers of one channel, the first being 1.

        Raises:
            ValueError: when the model does not have that channel.
        """
        if not 1 <= number <= self.channels:
            raise ValueError(f"{self.model} has channels 1 to {self.channels}, not {number}")
        strides: Mapping[str, int] = dict(self.strides)
        return tuple(
            replace(spec, register=spec.register.shifted(strides.get(spec.quantity, 0) * (number - 1)))
            for spec in self.registers
        )

    @property
    def setup_registers(self) -> tuple[Register, ...]:
        """Return the registers that must be read at every connect: exponents and codes that scale others."""
        found = (scale.register for spec in self.registers for scale in spec.scale.registers)
        return tuple(dict.fromkeys(found))


def as_profile(model: MeterModel) -> Profile:
    """Return a model as one of this driver's.

    Raises:
        TypeError: when it is read by another driver.
    """
    if not isinstance(model, Profile):
        raise TypeError(f"{model.model} is a model of the driver {model.protocol!r}, not {PROTOCOL!r}")
    return model


def unit_id(address: DeviceAddress) -> int:
    """Return an address as Modbus has it.

    Raises:
        TypeError: when it is no number.
    """
    if not isinstance(address, int):
        raise TypeError(f"a Modbus address is a number, not {address!r}")
    return address
