"""From raw to base units and back: exact factors, with the registers that some meters keep them in. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import floor
from types import MappingProxyType

from edge.drivers.modbus.profile import Register, RegisterSpec, Scale, ScaleRegister
from edge.drivers.modbus.registers import Absent, Encoding, Raw
from edge.errors import ImplausibleValue

#: What registers were found to hold.
Found = Mapping[Register, Raw | Absent]

NOTHING_FOUND: Found = MappingProxyType({})
# Far beyond any meter; a larger exponent is a register that is not one.
_LARGEST_EXPONENT = 30


def scale_factor(scale: Scale, setup: Found = NOTHING_FOUND) -> Fraction:
    """Return the exact factor from raw to base unit.

    Args:
        scale: As the table has it.
        setup: What the scale registers were found to hold at connect.

    Raises:
        ImplausibleValue: when a scale register was not read or holds what its table does not know.
    """
    factor = scale.factor
    for one in scale.registers:
        factor *= _factor_of(one, setup.get(one.register))
    return factor


def _factor_of(scale: ScaleRegister, raw: Raw | Absent | None) -> Fraction:
    at = scale.register.address
    if not isinstance(raw, int):
        raise ImplausibleValue(f"scale register {at} was not read or holds no whole number ({raw})")
    if scale.factors:
        factor = dict(scale.factors).get(raw)
        if factor is None:
            known = ", ".join(str(code) for code, _ in scale.factors)
            raise ImplausibleValue(f"scale register {at} holds code {raw}; known are {known}")
        return factor
    if abs(raw) > _LARGEST_EXPONENT:
        raise ImplausibleValue(f"scale register {at} holds exponent {raw}")
    return Fraction(10) ** raw


def raw_value(spec: RegisterSpec, value: float | Fraction, factor: Fraction) -> int | float | Decimal:
    """Return what the register holds for a value in base units; for simulated meters.

    Whole-number registers show full steps only, as a real meter's counter does (rounded down).
    """
    exact = Fraction(value) / factor
    if spec.register.layout.is_integer:
        return floor(exact)
    if spec.register.layout.encoding in (Encoding.T5, Encoding.T6):
        return Decimal(exact.numerator) / Decimal(exact.denominator)
    return float(exact)
