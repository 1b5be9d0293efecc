"""The catalogue of meter models: one YAML table per model under `profiles/`, read when first used.

Contract:
- `model_ids` returns all ids without opening a file; `load` opens only the files it needs (an alias needs
  all of them) and caches what it read.
- What `load` returns is complete and checked; a broken table is a `ConfigError` with every problem and place.
- `load_with` applies a gateway's overrides and returns a profile with another hash.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path

from edge.catalogue.tables import (
    ExampleTable,
    ModelTable,
    RegisterPatch,
    RegisterTable,
    ScaleTable,
)
from edge.drivers.meter_model import Plausible
from edge.drivers.modbus.profile import (
    Example,
    Identity,
    PollClass,
    Profile,
    RegisterSpec,
    Scale,
    ScaleRegister,
    SerialDefaults,
    Source,
)
from edge.errors import UnknownModel
from metering.errors import ConfigError, Problem
from metering.program.config import did_you_mean
from metering.program.config import load as load_yaml
from metering.quantities import VOCABULARY, Kind

_FOLDER = Path(__file__).parent / "profiles"
# Keys that do not change how bytes are read; they are left out of a profile's hash.
_NOT_HASHED = {
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
    """Return the ids of all models, in alphabetical order."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def profiles() -> Iterator[Profile]:
    """Return every model of the catalogue."""
    return (load(model) for model in model_ids())


def find(name: str) -> str:
    """Return the id of a model by its id or one of its names, in any case and with any separators.

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
    """Return a model by its id or one of its names.

    Raises:
        UnknownModel: with the nearest ids or names.
        ConfigError: when the table is broken.
    """
    return _load(find(name))


def problems_with(name: str, patches: Mapping[str, RegisterPatch]) -> tuple[tuple[str, str], ...]:
    """Return what is wrong with a gateway's overrides: the quantity and the message.

    Raises:
        UnknownModel: with the nearest ids or names.
    """
    merged = _merged(_table(find(name)), patches)
    return tuple((str(place[1]), text) for place, text in merged.problems() if place[0] == "registers")


def load_with(name: str, patches: Mapping[str, RegisterPatch]) -> Profile:
    """Return a model with some quantities overridden, added or left out.

    Raises:
        UnknownModel: with the nearest ids or names.
        ConfigError: when `problems_with` has any.
    """
    model = find(name)
    if not patches:
        return _load(model)
    broken = problems_with(model, patches)
    if broken:
        raise ConfigError([Problem(model, 0, 0, f"{quantity}: {text}") for quantity, text in broken])
    return _build(model, _merged(_table(model), patches))


def _merged(table: ModelTable, patches: Mapping[str, RegisterPatch]) -> ModelTable:
    registers = dict(table.registers)
    for quantity, patch in patches.items():
        if patch.skip:
            registers.pop(quantity, None)
            continue
        before = registers.get(quantity, RegisterTable())
        registers[quantity] = before.model_copy(update=patch.model_dump(exclude_unset=True))
    # Examples and limits of quantities that are left out are removed with them.
    examples = tuple(example for example in table.examples if example.values.keys() <= registers.keys())
    plausible = {name: limits for name, limits in table.plausible.items() if name in registers}
    return table.model_copy(update={"registers": registers, "examples": examples, "plausible": plausible})


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
    """Turn a table without problems into a profile; it has been checked, so nothing fails here."""
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
        serial_number=None if table.serial_number is None else table.place_of(table.serial_number),
        serial=_maybe_serial(table),
        notes=table.notes,
    )


def _hash(table: ModelTable) -> str:
    """Return 12 hex digits that change with what is read and how it is understood."""
    content = table.model_dump(mode="json", exclude=_NOT_HASHED, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _spec(table: ModelTable, quantity: str, register: RegisterTable) -> RegisterSpec:
    known = VOCABULARY.get(quantity)
    is_counter = known.is_counter if known else register.kind is Kind.COUNTER
    is_directed = known is not None and known.is_directed
    return RegisterSpec(
        quantity=quantity,
        register=table.register_of(register),
        scale=Scale(
            Fraction(register.scale if register.scale is not None else 1),
            tuple(_scale_register(table, table.scales[name]) for name in register.scaled_by or ()),
        ),
        step=Fraction(register.step if register.step is not None else 1),
        modulus=None if register.modulus is None else Fraction(register.modulus),
        poll=register.poll or PollClass.FAST,
        is_counter=is_counter,
        directed=is_directed if register.directed is None else register.directed,
    )


def _scale_register(table: ModelTable, scale: ScaleTable) -> ScaleRegister:
    factors = tuple((code, Fraction(factor)) for code, factor in sorted(scale.table.items()))
    return ScaleRegister(table.place_of(scale), factors)


def _maybe_identity(table: ModelTable) -> Identity | None:
    found = table.identity
    return None if found is None else Identity(table.place_of(found), found.expected)


def _maybe_serial(table: ModelTable) -> SerialDefaults | None:
    port = table.serial
    return None if port is None else SerialDefaults(port.baud, port.parity, port.stop_bits, port.address)


def _example(table: ModelTable, example: ExampleTable) -> Example:
    blocks = tuple(
        (table.function_of(block.function), block.address, bytes.fromhex(block.bytes))
        for block in example.blocks
    )
    return Example(example.evidence, example.note, blocks, tuple(example.values.items()), example.channel)
