"""The catalogue of meter models: one YAML table per model under `edge/profiles/`, read when first used.

Contract:
- `model_ids` names what there is without opening a file; `load` opens only the files it needs (an alias needs
  all of them) and keeps what it read.
- What `load` gives is complete and checked; a broken table is a `ConfigError` with every problem and place.
- `load_with` applies a gateway's overrides and gives a profile with another hash.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path

from edge.errors import UnknownModel
from edge.profile import (
    Example,
    Function,
    Identity,
    Plausible,
    PollClass,
    Profile,
    Register,
    RegisterSpec,
    Scale,
    ScaleRegister,
    SerialDefaults,
    Source,
)
from edge.registers import Encoding, Layout, Order
from edge.tables import (
    ExampleTable,
    Marker,
    ModelTable,
    PlaceTable,
    RegisterPatch,
    RegisterTable,
    ScaleTable,
)
from metering.config import did_you_mean
from metering.config import load as load_yaml
from metering.errors import ConfigError, Problem
from metering.quantities import VOCABULARY, Kind

_FOLDER = Path(__file__).parent / "profiles"
_FUNCTIONS = {"holding": Function.HOLDING, "input": Function.INPUT}
# Signed by the direction of flow; power factor only where the table says so (see edge.decode).
_DIRECTED = frozenset(
    {
        "active_power_w",
        "active_power_l1_w",
        "active_power_l2_w",
        "active_power_l3_w",
        "reactive_power_var",
        "flow_m3h",
    }
)
# What does not change how bytes are read is no part of a profile's hash.
_PROSE = {
    "maker",
    "names",
    "sources",
    "agreeing",
    "notes",
    "examples",
    "plausible",
    "serial",
    "answer_delay_s",
}


def model_ids() -> tuple[str, ...]:
    """Give the ids of all models, in alphabetical order."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def profiles() -> Iterator[Profile]:
    """Give every model of the catalogue."""
    return (load(model) for model in model_ids())


def find(name: str) -> str:
    """Give the id of a model by its id or one of its names, in any case and with any separators.

    Raises:
        UnknownModel: with the nearest ids or names.
    """
    if name in model_ids():
        return name
    known = _names()
    maybe_model = known.get(_plain(name))
    if maybe_model is None:
        words = [*model_ids(), *(alias.lower() for model in model_ids() for alias in _table(model).names)]
        raise UnknownModel(f"unknown model {name!r}{did_you_mean(name.lower(), words)}")
    return maybe_model


def load(name: str) -> Profile:
    """Give a model by its id or one of its names.

    Raises:
        UnknownModel: with the nearest ids or names.
        ConfigError: when the table is broken.
    """
    return _load(find(name))


def load_with(name: str, patches: Mapping[str, RegisterPatch]) -> Profile:
    """Give a model with some quantities overridden, added or left out.

    Raises:
        UnknownModel: with the nearest ids or names.
        ConfigError: when the result is no complete table; places are those of the catalogue's file.
    """
    model = find(name)
    if not patches:
        return _load(model)
    table = _table(model)
    registers = dict(table.registers)
    for quantity, patch in patches.items():
        if patch.skip:
            registers.pop(quantity, None)
            continue
        before = registers.get(quantity, RegisterTable())
        registers[quantity] = before.model_copy(update=patch.model_dump(exclude_unset=True))
    examples = tuple(example for example in table.examples if example.values.keys() <= registers.keys())
    plausible = {name: limits for name, limits in table.plausible.items() if name in registers}
    merged = table.model_copy(update={"registers": registers, "examples": examples, "plausible": plausible})
    broken = [Problem(model, 0, 0, text) for _, text in merged.problems()]
    if broken:
        raise ConfigError(broken)
    return _build(model, merged)


@cache
def _load(model: str) -> Profile:
    return _build(model, _table(model))


@cache
def _table(model: str) -> ModelTable:
    return load_yaml(_FOLDER / f"{model}.yaml", ModelTable)


@cache
def _names() -> Mapping[str, str]:
    names: dict[str, str] = {}
    for model in model_ids():
        table = _table(model)
        for name in table.names:
            names[_plain(name)] = names[_plain(table.maker + name)] = model
        names[_plain(model)] = model
    return names


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _build(model: str, table: ModelTable) -> Profile:
    try:
        return Profile(
            model=model,
            maker=table.maker,
            names=table.names,
            medium=table.medium,
            sources=tuple(Source(s.title, s.version, s.place) for s in table.sources),
            agreeing=table.agreeing,
            examples=tuple(_example(table, example) for example in table.examples),
            registers=tuple(_spec(table, name, register) for name, register in table.registers.items()),
            hash=_hash(table),
            strides=tuple(
                (name, register.stride) for name, register in table.registers.items() if register.stride
            ),
            channels=table.channels,
            max_registers=table.max_registers,
            answer_delay_s=table.answer_delay_s,
            identity=_maybe_identity(table),
            plausible=tuple(Plausible(name, low, high) for name, (low, high) in table.plausible.items()),
            serial_number=None if table.serial_number is None else _place(table, table.serial_number),
            serial=_maybe_serial(table),
            notes=table.notes,
        )
    except ValueError as error:
        raise ConfigError([Problem(str(_FOLDER / f"{model}.yaml"), 0, 0, str(error))]) from error


def _hash(table: ModelTable) -> str:
    """Give 12 hex digits that change with what is read and how it is understood."""
    content = table.model_dump(mode="json", exclude=_PROSE, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _spec(table: ModelTable, quantity: str, register: RegisterTable) -> RegisterSpec:
    known = VOCABULARY.get(quantity)
    is_counter = known.is_counter if known else register.kind is Kind.COUNTER
    return RegisterSpec(
        quantity=quantity,
        register=_register(table, register),
        scale=Scale(
            Fraction(register.scale if register.scale is not None else 1),
            tuple(_scale_register(table, table.scales[name]) for name in register.scaled_by or ()),
        ),
        step=Fraction(register.step if register.step is not None else 1),
        modulus=None if register.modulus is None else Fraction(register.modulus),
        poll=register.poll or PollClass.FAST,
        is_counter=is_counter,
        directed=quantity in _DIRECTED if register.directed is None else register.directed,
    )


def _register(table: ModelTable, register: RegisterTable) -> Register:
    encoding = register.type or table.defaults.type
    if encoding is None or register.address is None:
        raise ValueError("a register needs an address and a type")
    word_order = register.word_order or table.defaults.word_order
    byte_order = register.byte_order or table.defaults.byte_order
    markers = table.defaults.invalid if register.invalid is None else register.invalid
    plain = Layout(encoding, word_order, byte_order)
    layout = Layout(encoding, word_order, byte_order, invalid=tuple(_marker(plain, m) for m in markers))
    return Register(_FUNCTIONS[register.function or table.defaults.function], register.address, layout)


def _marker(layout: Layout, marker: Marker) -> int:
    if isinstance(marker, int):
        return marker
    forms = {"all-ones": layout.all_ones, "signed-max": layout.signed_max, "signed-min": layout.signed_min}
    return forms[marker]()


def _place(table: ModelTable, place: PlaceTable) -> Register:
    # Text stands in the order of its characters, whatever the numbers beside it do.
    is_text = place.type is Encoding.TEXT
    layout = Layout(
        place.type,
        place.word_order or (Order.BIG if is_text else table.defaults.word_order),
        place.byte_order or (Order.BIG if is_text else table.defaults.byte_order),
        place.length,
    )
    return Register(_FUNCTIONS[place.function or table.defaults.function], place.address, layout)


def _scale_register(table: ModelTable, scale: ScaleTable) -> ScaleRegister:
    factors = tuple((code, Fraction(factor)) for code, factor in sorted(scale.table.items()))
    return ScaleRegister(_place(table, scale), factors)


def _maybe_identity(table: ModelTable) -> Identity | None:
    found = table.identity
    return None if found is None else Identity(_place(table, found), found.expected)


def _maybe_serial(table: ModelTable) -> SerialDefaults | None:
    port = table.serial
    return None if port is None else SerialDefaults(port.baud, port.parity, port.stop_bits, port.address)


def _example(table: ModelTable, example: ExampleTable) -> Example:
    blocks = tuple(
        (_FUNCTIONS[block.function or table.defaults.function], block.address, bytes.fromhex(block.bytes))
        for block in example.blocks
    )
    return Example(example.evidence, example.note, blocks, tuple(example.values.items()), example.channel)
