"""Every model of the catalogue: its table is whole, its example bytes give its values."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from edge.catalogue import models as catalogue
from edge.catalogue.tables import ModelTable, RegisterPatch
from edge.drivers.meter_model import ModelStatus
from edge.drivers.modbus.decode import Decoded, Decoder, compile_decoder, read_registers
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Evidence, Example, Function, Profile, RegisterSpec
from edge.drivers.modbus.registers import Encoding, Order
from edge.drivers.modbus.scale import scale_factor
from edge.errors import ImplausibleValue, UnknownModel
from metering.errors import ConfigError
from metering.program.config import load as load_yaml
from metering.quantities import VOCABULARY, Medium

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "meters.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
MODELS = catalogue.model_ids()
EXAMPLES = [
    pytest.param(model, number, id=f"{model}-{number}")
    for model in MODELS
    for number in range(len(catalogue.load(model).examples))
]


def spec_of(profile: Profile, quantity: str) -> RegisterSpec:
    return next(spec for spec in profile.registers if spec.quantity == quantity)


def test_the_catalogue_has_the_ten_models() -> None:
    assert MODELS == (
        "abb-b23",
        "arad-octave",
        "carlo-gavazzi-em340",
        "eastron-sdm120",
        "eastron-sdm630",
        "iskra-wm3m4",
        "janitza-umg96rm-e",
        "schneider-iem3155",
        "siemens-pac2200",
        "wirenboard-wb-mwac-v2",
    )


def decode_example(profile: Profile, example: Example) -> tuple[Decoder, Decoded]:
    answers = {Block(function, at, len(data) // 2): data for function, at, data in example.blocks}
    setup = read_registers(profile.setup_registers, answers)
    wanted = dict(example.values)
    specs = [spec for spec in profile.channel(example.channel) if spec.quantity in wanted]
    decoder = compile_decoder(specs, tuple(answers), setup=setup)
    return decoder, decoder.decode(answers)


@pytest.mark.parametrize(("model", "number"), EXAMPLES)
def test_example_bytes_give_their_values(model: str, number: int) -> None:
    example = catalogue.load(model).examples[number]

    decoder, decoded = decode_example(catalogue.load(model), example)

    found = dict(zip(decoder.quantities, decoded.values, strict=True))
    assert found.keys() == dict(example.values).keys()
    for quantity, expected in example.values:
        if expected is None or quantity in decoder.counters:
            assert found[quantity] == expected, quantity
        else:
            assert found[quantity] == pytest.approx(expected, rel=1e-6), quantity


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_whole(model: str) -> None:
    profile = catalogue.load(model)

    assert profile.model == model
    assert profile.sources
    assert profile.examples
    assert len(profile.hash) == 12
    assert any(spec.is_counter for spec in profile.registers)
    for number in range(1, profile.channels + 1):
        specs = profile.channel(number)
        assert len({spec.register for spec in specs}) == len(specs)
        for spec in specs:
            known = VOCABULARY[spec.quantity]
            assert spec.is_counter == known.is_counter
            assert profile.medium in known.media


@pytest.mark.parametrize("model", MODELS)
def test_counters_are_tried_by_an_example(model: str) -> None:
    profile = catalogue.load(model)

    tried = {quantity for example in profile.examples for quantity, value in example.values if value}

    assert any(spec.is_counter and spec.quantity in tried for spec in profile.registers)


def test_verified_is_earned_by_bytes_or_by_two_sources() -> None:
    for profile in catalogue.profiles():
        evidence = {example.evidence for example in profile.examples}
        earned = bool(evidence & {Evidence.MANUAL, Evidence.CAPTURE}) or len(profile.agreeing) >= 2
        assert (profile.status is ModelStatus.VERIFIED) == earned

    unverified = [p.model for p in catalogue.profiles() if p.status is ModelStatus.UNVERIFIED]
    assert unverified == ["arad-octave", "iskra-wm3m4", "wirenboard-wb-mwac-v2"]


def test_the_odd_traits_are_where_they_belong() -> None:
    em340 = spec_of(catalogue.load("em340"), "energy_import_wh").register.layout
    octave = spec_of(catalogue.load("octave"), "volume_l").register.layout
    pac = spec_of(catalogue.load("pac2200"), "energy_import_wh").register.layout
    abb = spec_of(catalogue.load("b24"), "energy_export_wh").register.layout
    iskra = catalogue.load("wm3m4")

    assert (em340.encoding, em340.word_order, em340.byte_order) == (Encoding.S32, Order.LITTLE, Order.BIG)
    assert (octave.encoding, octave.word_order, octave.byte_order) == (
        Encoding.F64,
        Order.LITTLE,
        Order.LITTLE,
    )
    assert pac.encoding is Encoding.F64
    assert abb.invalid == (2**64 - 1,)
    assert [register.address for register in iskra.setup_registers] == [414, 415]
    assert spec_of(iskra, "voltage_l1_v").register.layout.encoding is Encoding.T5
    assert spec_of(iskra, "active_power_w").register.layout.encoding is Encoding.T6


def test_channels_lie_a_stride_apart() -> None:
    mwac = catalogue.load("wirenboard-wb-mwac-v2")

    assert mwac.has_channels
    assert mwac.medium is Medium.WATER
    assert [mwac.channel(n)[0].register.address for n in (1, 2)] == [1068, 1072]
    with pytest.raises(ValueError, match="channels 1 to 2, not 3"):
        mwac.channel(3)


def test_scale_registers_are_exponents_or_codes() -> None:
    iskra, octave = catalogue.load("wm3m4"), catalogue.load("octave")
    counter, volume = spec_of(iskra, "energy_import_wh").scale, spec_of(octave, "volume_l").scale
    exponent, unit = counter.registers[0].register, volume.registers[0].register

    assert scale_factor(counter, {exponent: 3}) == 1000
    assert scale_factor(counter, {exponent: -2}) == Fraction(1, 100)
    assert scale_factor(volume, {unit: 4}) == Fraction("3.785411784")
    for scale, found, text in (
        (counter, {}, "was not read"),
        (counter, {exponent: 99}, "exponent 99"),
        (volume, {unit: 10}, "code 10; known are 0, 1, 2"),
    ):
        with pytest.raises(ImplausibleValue, match=text):
            scale_factor(scale, found)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("eastron-sdm630", "eastron-sdm630"),
        ("SDM630", "eastron-sdm630"),
        ("sdm630 v2", "eastron-sdm630"),
        ("abb-b24", "abb-b23"),
        ("ABB B24", "abb-b23"),
        ("iEM3255", "schneider-iem3155"),
        ("wirenboard-wb-mwac-v2", "wirenboard-wb-mwac-v2"),
        ("UMG 96RM-E", "janitza-umg96rm-e"),
    ],
)
def test_models_are_found_by_any_of_their_names(name: str, model: str) -> None:
    assert catalogue.find(name) == model


def test_no_name_means_two_models() -> None:
    names = [
        "".join(filter(str.isalnum, name.lower()))
        for profile in catalogue.profiles()
        for name in profile.names
    ]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("wrong", "meant"), [("eastron-sdm360", "eastron-sdm630"), ("sdm6330", "sdm630"), ("EM34O", "em340")]
)
def test_an_unknown_model_names_what_was_probably_meant(wrong: str, meant: str) -> None:
    with pytest.raises(UnknownModel, match=f"unknown model '{wrong}'; did you mean .*'{meant}'"):
        catalogue.load(wrong)


def test_a_profile_keeps_its_hash_and_overrides_change_it() -> None:
    plain = catalogue.load("sdm630")
    patched = catalogue.load_with("sdm630", {"active_power_w": RegisterPatch.model_validate({"scale": 1000})})

    assert catalogue.load_with("sdm630", {}) is plain
    assert patched.hash != plain.hash
    assert spec_of(patched, "active_power_w").scale.factor == 1000
    assert spec_of(patched, "active_power_w").register == spec_of(plain, "active_power_w").register


def test_overrides_add_and_leave_out() -> None:
    patches = {
        "power_factor": RegisterPatch(skip=True),
        "frequency_hz": RegisterPatch(skip=True),
        "pressure_bar": RegisterPatch.model_validate({"address": 0x100, "kind": "gauge", "scale": 0.1}),
    }
    patched = catalogue.load_with("sdm630", patches)

    quantities = [spec.quantity for spec in patched.registers]
    assert "power_factor" not in quantities
    assert "frequency_hz" not in quantities
    pressure = spec_of(patched, "pressure_bar")
    assert pressure.register.function is Function.INPUT
    assert pressure.scale.factor == Fraction(1, 10)
    assert not pressure.is_counter


def test_the_other_counters_of_the_wm3m4_are_one_override_away() -> None:
    patch = RegisterPatch.model_validate({"address": 406, "scaled_by": ["other_import_exponent"]})

    other = catalogue.load_with("wm3m4", {"energy_import_wh": patch})

    assert [register.address for register in other.setup_registers] == [401, 415]


def test_overrides_that_make_no_sense_are_all_told() -> None:
    patches = {
        "active_powr_w": RegisterPatch.model_validate({"address": 1}),
        "volume_l": RegisterPatch.model_validate({"address": 1}),
        "frequency_hz": RegisterPatch.model_validate({"scaled_by": ["nothing"]}),
    }

    with pytest.raises(ConfigError) as caught:
        catalogue.load_with("sdm630", patches)

    assert {quantity for quantity, _ in catalogue.problems_with("sdm630", patches)} == patches.keys()
    assert len(caught.value.problems) == 3
    assert "unknown quantity 'active_powr_w'; did you mean 'active_power_w'" in str(caught.value)
    assert "volume_l is not a quantity of electricity" in str(caught.value)
    assert "no scale register 'nothing'" in str(caught.value)


BROKEN = """\
maker: Nobody
names: [X1]
medium: water
sources: [{title: none, version: "1", place: p}]
defaults: {function: inptu, type: u32}
registers:
  volume_l: {adress: 5}
  flow_m3h: {address: 70000, scale: 0}
examples:
  - {evidence: guessed, note: n, blocks: [{address: 0, bytes: "0g"}], values: {volum_l: 1}}
"""


def test_a_broken_table_tells_every_problem_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "nobody-x1.yaml"
    file.write_text(BROKEN)

    with pytest.raises(ConfigError) as caught:
        load_yaml(file, ModelTable)

    places = {(problem.line, problem.column) for problem in caught.value.problems}
    assert {(5, 22), (7, 14), (8, 23), (8, 37), (10, 16)} <= places
    assert "unknown key 'adress'; did you mean 'address'" in str(caught.value)


def test_a_table_whose_parts_do_not_fit_tells_where(tmp_path: Path) -> None:
    text = (Path(catalogue.__file__).parent / "profiles" / "arad-octave.yaml").read_text(encoding="utf-8")
    broken = text.replace("{address: 0x29,", "{address: 65535,").replace(
        "type: text, length: 16", "type: text"
    )
    broken = broken.replace("scaled_by: [flow_unit]", "scaled_by: [flow_units]")
    file = tmp_path / "arad-octave.yaml"
    file.write_text(broken, encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load_yaml(file, ModelTable)

    assert [problem.message for problem in caught.value.problems] == [
        "a length in registers is given for text, and only for text",
        "no scale register 'flow_units'; did you mean 'flow_unit'?",
        "registers 65535..65538 are not all addresses",
    ]
    assert all(problem.line for problem in caught.value.problems)


def test_the_documentation_lists_every_model_as_it_is() -> None:
    text = DOCS.read_text(encoding="utf-8")

    for profile in catalogue.profiles():
        assert f"| `{profile.model}` | {profile.maker} | {', '.join(profile.names)} |" in text, profile.model
        assert f"| {profile.medium} | {profile.status} |" in text


def test_the_worked_example_of_contributing_is_a_meter_model(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", CONTRIBUTING.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    file = tmp_path / "example-ex-100.yaml"
    file.write_text(text, encoding="utf-8")

    profile = catalogue._build("example-ex-100", load_yaml(file, ModelTable))
    decoder, decoded = decode_example(profile, profile.examples[0])

    assert profile.status is ModelStatus.UNVERIFIED
    assert dict(zip(decoder.quantities, decoded.values, strict=True)) == dict(profile.examples[0].values)
    assert decoder.counters["energy_import_wh"].step == 10
