"""The form of a meter model's YAML table, and of what a gateway overrides in it.

A table is checked as a whole before anything uses it, like every configuration file; `edge.catalogue.models`
turns it into the frozen `Profile`. Numbers may be written as 0x48; decimals are exact as written. What each
key means is documented once, at the types in `edge.drivers.modbus.profile`.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from edge.drivers.modbus.profile import Evidence, Function, PollClass, Register
from edge.drivers.modbus.registers import Encoding, Layout, Order
from metering.program.config import Location, Model, did_you_mean
from metering.quantities import VOCABULARY, Kind, Medium

_FUNCTIONS = {"holding": Function.HOLDING, "input": Function.INPUT}

Address = Annotated[int, Field(ge=0, le=65535)]
Text = Annotated[str, StringConstraints(min_length=1)]
FunctionName = Literal["holding", "input"]
#: A marker as a number, or by its form: FFFF…, 7FFF… or 8000….
Marker = int | Literal["all-ones", "signed-max", "signed-min"]


#: Largest power of ten of a factor or modulus; exact fractions of larger ones would fill the memory.
_MAX_POWER = 30


def _not_zero(value: Decimal) -> Decimal:
    if value == 0 or not value.is_finite():
        raise ValueError("a scale is a number other than 0")
    return value


def _within_max_power(value: Decimal) -> Decimal:
    if abs(value.adjusted()) > _MAX_POWER or len(value.as_tuple().digits) > 2 * _MAX_POWER:
        raise ValueError(f"the number is not within 1e-{_MAX_POWER} and 1e{_MAX_POWER}")
    return value


ScaleFactor = Annotated[Decimal, AfterValidator(_not_zero), AfterValidator(_within_max_power)]
Positive = Annotated[Decimal, Field(gt=0), AfterValidator(_within_max_power)]


def _hex_registers(text: str) -> str:
    if len(bytes.fromhex(text)) % 2:
        raise ValueError("registers are two bytes each")
    return text


HexBytes = Annotated[str, AfterValidator(_hex_registers)]


class RegisterPatch(Model):
    """What a gateway may override of one quantity; keys left out stay as the table says.

    Attributes:
        skip: True leaves the quantity out.
        kind: Gauge or counter, for quantities that only the park declares.
    """

    function: FunctionName | None = Field(default=None, description="Which table of registers to read")
    address: Address | None = Field(default=None, description="First register, counted from 0 as on the wire")
    type: Encoding | None = None
    word_order: Order | None = None
    byte_order: Order | None = None
    scale: ScaleFactor | None = Field(default=None, description="Exact factor from raw to base unit")
    scaled_by: tuple[str, ...] | None = Field(
        default=None, description="Names of the model's scale registers that multiply it"
    )
    step: Positive | None = Field(default=None, description="Counters: smallest rise, raw")
    modulus: Positive | None = Field(default=None, description="Counters: raw value that reads as 0 again")
    invalid: tuple[Marker, ...] | None = Field(default=None, description="Raw values that mean no value")
    poll: PollClass | None = None
    directed: bool | None = Field(default=None, description="Whether its sign turns with `reversed`")
    kind: Kind | None = None
    skip: bool = Field(default=False, description="true: leave the quantity out")


class RegisterTable(RegisterPatch):
    """One quantity's register in a model's table."""

    stride: Annotated[int, Field(ge=0)] = 0


class Defaults(Model):
    """Values for every register that has none of its own."""

    function: FunctionName = "input"
    type: Encoding | None = None
    word_order: Order = Order.BIG
    byte_order: Order = Order.BIG
    invalid: tuple[Marker, ...] = ()


class PlaceTable(Model):
    """A register beside the quantities: serial number, exponent or code."""

    function: FunctionName | None = None
    address: Address
    type: Encoding
    word_order: Order | None = None
    byte_order: Order | None = None
    length: Annotated[int, Field(ge=0, le=125)] = 0


class ScaleTable(PlaceTable):
    """A scale register: a decimal exponent, or a code with its factors."""

    table: dict[int, ScaleFactor] = Field(default_factory=dict)


class IdentityTable(PlaceTable):
    """The register that tells the model."""

    expected: Annotated[tuple[int | str, ...], Field(min_length=1)]


class SerialTable(Model):
    """Factory settings of the serial port."""

    baud: Annotated[int, Field(ge=300, le=921600)]
    parity: Literal["N", "E", "O"]
    stop_bits: Literal[1, 2] = 1
    address: Annotated[int, Field(ge=1, le=247)] = 1


class SourceTable(Model):
    """A document."""

    title: Text
    version: Text
    place: Text


class BlockTable(Model):
    """Bytes of neighbouring registers, in hex."""

    function: FunctionName | None = None
    address: Address
    bytes: HexBytes


class ExampleTable(Model):
    """Bytes and what they mean; an integer for counters, null for invalid."""

    evidence: Evidence
    note: Text
    channel: Annotated[int, Field(ge=1)] = 1
    blocks: Annotated[tuple[BlockTable, ...], Field(min_length=1)]
    values: Annotated[dict[str, int | float | None], Field(min_length=1)]


class ModelTable(Model):
    """One file of the catalogue."""

    maker: Text
    names: Annotated[tuple[Text, ...], Field(min_length=1)]
    medium: Medium
    sources: Annotated[tuple[SourceTable, ...], Field(min_length=1)]
    agreeing: tuple[Text, ...] = ()
    notes: tuple[Text, ...] = ()
    serial: SerialTable | None = None
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125
    answer_delay_s: Annotated[float, Field(ge=0, le=5)] = 0.05
    channels: Annotated[int, Field(ge=1, le=64)] = 1
    identity: IdentityTable | None = None
    plausible: dict[str, tuple[float, float]] = Field(default_factory=dict)
    serial_number: PlaceTable | None = None
    defaults: Defaults = Defaults()
    scales: dict[str, ScaleTable] = Field(default_factory=dict)
    registers: Annotated[dict[str, RegisterTable], Field(min_length=1)]
    examples: Annotated[tuple[ExampleTable, ...], Field(min_length=1)]

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield what only the whole table can tell."""
        for quantity, register in self.registers.items():
            texts = chain(
                self._quantity_problems(quantity, register),
                self._reference_problems(register),
                _misfit(partial(self.register_of, register)),
            )
            yield from ((("registers", quantity), text) for text in texts)
        for here, quantity in self._mentions():
            if quantity not in self.registers:
                hint = did_you_mean(quantity, self.registers)
                yield here, f"{quantity!r} is no register of this model{hint}"
        for here, place in self._places():
            yield from ((here, text) for text in _misfit(partial(self.place_of, place)))

    def _quantity_problems(self, quantity: str, register: RegisterTable) -> Iterator[str]:
        known = VOCABULARY.get(quantity)
        if known is None and register.kind is None:
            hint = did_you_mean(quantity, VOCABULARY)
            yield f"unknown quantity {quantity!r}{hint}; a park's own needs its kind"
        if known is not None and self.medium not in known.media:
            yield f"{quantity} is not a quantity of {self.medium}"
        if (register.type or self.defaults.type) is Encoding.TEXT:
            yield "a quantity is a number, not text"

    def _reference_problems(self, register: RegisterTable) -> Iterator[str]:
        for name in register.scaled_by or ():
            if name not in self.scales:
                yield f"no scale register {name!r}{did_you_mean(name, self.scales)}"
        if self.channels > 1 and not register.stride:
            yield "a model with channels needs a stride for each register"

    def _mentions(self) -> Iterator[tuple[Location, str]]:
        """Yield every place that speaks of a quantity by name."""
        yield from ((("plausible", quantity), quantity) for quantity in self.plausible)
        for number, example in enumerate(self.examples):
            yield from ((("examples", number, "values", quantity), quantity) for quantity in example.values)

    def _places(self) -> Iterator[tuple[Location, PlaceTable]]:
        yield from ((("scales", name), scale) for name, scale in self.scales.items())
        if self.identity is not None:
            yield ("identity",), self.identity
        if self.serial_number is not None:
            yield ("serial_number",), self.serial_number

    def register_of(self, register: RegisterTable) -> Register:
        """Return where a quantity lies, with the table's defaults.

        Raises:
            ValueError: when address or type are missing, or the parts do not fit together.
        """
        encoding = register.type or self.defaults.type
        if encoding is None or register.address is None:
            raise ValueError("a register needs an address and a type")
        word_order = register.word_order or self.defaults.word_order
        byte_order = register.byte_order or self.defaults.byte_order
        markers = self.defaults.invalid if register.invalid is None else register.invalid
        plain = Layout(encoding, word_order, byte_order)
        layout = Layout(encoding, word_order, byte_order, invalid=tuple(_marker(plain, m) for m in markers))
        return Register(self.function_of(register.function), register.address, layout)

    def place_of(self, place: PlaceTable) -> Register:
        """Return where a register beside the quantities lies, with the table's defaults.

        Raises:
            ValueError: when the parts do not fit together.
        """
        # Text is in the order of its characters, whatever the word order of numbers.
        is_text = place.type is Encoding.TEXT
        layout = Layout(
            place.type,
            place.word_order or (Order.BIG if is_text else self.defaults.word_order),
            place.byte_order or (Order.BIG if is_text else self.defaults.byte_order),
            place.length,
        )
        return Register(self.function_of(place.function), place.address, layout)

    def function_of(self, name: FunctionName | None) -> Function:
        """Return the Modbus function by its name, or the table's default."""
        return _FUNCTIONS[name or self.defaults.function]


def _misfit(make: Callable[[], Register]) -> Iterator[str]:
    """Yield why parts do not make a register, if they do not."""
    try:
        make()
    except ValueError as error:
        yield str(error)


def _marker(layout: Layout, marker: Marker) -> int:
    if isinstance(marker, int):
        return marker
    half = 1 << (16 * layout.registers - 1)
    return {"all-ones": 2 * half - 1, "signed-max": half - 1, "signed-min": half}[marker]
