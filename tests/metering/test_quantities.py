"""What the vocabulary says of directions, and what a quantity refuses to be."""

import pytest

from metering.quantities import VOCABULARY, Kind, Medium, Quantity, Unit

OPPOSITES = {name: quantity.opposite for name, quantity in VOCABULARY.items() if quantity.opposite}


def test_opposites_come_in_pairs_of_one_unit() -> None:
    assert {OPPOSITES[other] for other in OPPOSITES.values()} == set(OPPOSITES)
    assert all(OPPOSITES[other] == one for one, other in OPPOSITES.items())
    assert all(VOCABULARY[one].unit is VOCABULARY[other].unit for one, other in OPPOSITES.items())
    assert OPPOSITES["energy_import_wh"] == "energy_export_wh"
    assert OPPOSITES["reactive_energy_export_varh"] == "reactive_energy_import_varh"
    assert OPPOSITES["volume_l"] == "volume_reverse_l"
    assert len(OPPOSITES) == 6


def test_signed_power_and_flow_are_directed_and_nothing_else() -> None:
    """The sign of a power factor may tell inductive from capacitive; an RMS current is a magnitude."""
    assert {name for name, quantity in VOCABULARY.items() if quantity.is_directed} == {
        "active_power_w",
        "active_power_l1_w",
        "active_power_l2_w",
        "active_power_l3_w",
        "reactive_power_var",
        "flow_m3h",
    }


def test_a_gauge_has_no_opposite() -> None:
    with pytest.raises(ValueError, match="only a counter has an opposite"):
        Quantity("a_w", Unit.WATT, Kind.GAUGE, frozenset(Medium), low=-1, high=1, opposite="b_w")


def test_what_is_never_negative_has_no_sign() -> None:
    with pytest.raises(ValueError, match="only what may be negative has a sign"):
        Quantity("a_v", Unit.VOLT, Kind.GAUGE, frozenset(Medium), low=0, high=1, is_directed=True)
