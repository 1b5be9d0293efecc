"""The tree drawn on top of `edge.errors` is the tree that there is."""

import inspect
import re

import pytest

from edge import errors
from edge.errors import EdgeError, ExceptionCode, MeterRefused

_DRAWN = re.compile(r"── (\w+) +(transient|permanent|by code|by cause|one)")
TREE: dict[str, str] = dict(_DRAWN.findall(errors.__doc__ or ""))
CLASSES = {
    name: one
    for name, one in inspect.getmembers(errors, inspect.isclass)
    if issubclass(one, EdgeError) and one is not EdgeError
}


def test_every_error_is_drawn_and_every_drawn_error_exists() -> None:
    assert TREE.keys() == CLASSES.keys()


@pytest.mark.parametrize("name", [name for name, kind in TREE.items() if kind in ("transient", "permanent")])
def test_transient_means_the_same_try_may_work_later(name: str) -> None:
    assert CLASSES[name].transient is (TREE[name] == "transient")


def test_a_refusal_is_permanent_for_function_address_and_count() -> None:
    permanent = {code for code in ExceptionCode if not MeterRefused(code).transient}

    assert permanent == {
        ExceptionCode.ILLEGAL_FUNCTION,
        ExceptionCode.ILLEGAL_DATA_ADDRESS,
        ExceptionCode.ILLEGAL_DATA_VALUE,
    }
    assert str(MeterRefused(2, "block at 418")) == "ILLEGAL_DATA_ADDRESS (2): block at 418"
    assert MeterRefused(99).transient
    assert "vendor" in str(MeterRefused(99))
