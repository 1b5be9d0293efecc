"""How a meter is connected: ratios of its transformers, and the direction of the flow. Pure.

CT and VT ratios multiply what is measured through them (current by CT, voltage by VT, power and
energy by both); frequency and power factor have none. With `is_reversed` (a transformer turned round, or a
generation meter wired as a load) import and export counters change names, and signed power and flow change
sign. RMS currents and apparent power are magnitudes and stay; so does a power factor whose sign tells
inductive from capacitive, because both P and Q turn. A table marks what turns as `directed`.
"""

from dataclasses import dataclass
from fractions import Fraction

from metering.quantities import VOCABULARY, Medium, Unit

_BY_CT = frozenset({Unit.AMPERE})
_BY_VT = frozenset({Unit.VOLT})
_BY_BOTH = frozenset({Unit.WATT, Unit.VAR, Unit.VOLT_AMPERE, Unit.WATT_HOUR, Unit.VAR_HOUR})


@dataclass(frozen=True, slots=True)
class Wiring:
    """How the meter is connected.

    Attributes:
        ct: Current transformer's ratio (250/5 = 50).
        vt: Voltage transformer's ratio (20000/100 = 200).
        is_reversed: Whether current flows through the meter the wrong way round.

    Raises:
        ValueError: for a ratio that is not positive.
    """

    ct: Fraction = Fraction(1)
    vt: Fraction = Fraction(1)
    is_reversed: bool = False

    def __post_init__(self) -> None:
        if self.ct <= 0 or self.vt <= 0:
            raise ValueError(f"transformer ratios {self.ct} and {self.vt} must be positive")

    def ratio(self, quantity: str) -> Fraction:
        """Return the factor of the transformers on a quantity; 1 where they mean nothing."""
        known = VOCABULARY.get(quantity)
        if known is None or Medium.ELECTRICITY not in known.media:
            return Fraction(1)
        if known.unit in _BY_BOTH:
            return self.ct * self.vt
        if known.unit in _BY_CT:
            return self.ct
        return self.vt if known.unit in _BY_VT else Fraction(1)

    def named(self, quantity: str) -> str:
        """Return what a quantity of the model is called behind these transformers."""
        known = VOCABULARY.get(quantity)
        return (known and known.opposite) or quantity if self.is_reversed else quantity
