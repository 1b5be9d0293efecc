"""Ratios of current and voltage transformers, as they stand on the plate. Pure."""

from fractions import Fraction
from typing import Self

#: Rated secondary values where only a ratio was written: those that most transformers have.
SECONDARY_A = 5
SECONDARY_V = 100


class TransformerRatio(Fraction):
    """An exact ratio that knows the rated primary value it was written with.

    Attributes:
        maybe_primary: 250 of `250/5`; `None` where only the ratio was written.
    """

    maybe_primary: Fraction | None

    def __new__(cls, primary: Fraction, maybe_secondary: Fraction | None = None) -> Self:
        """Make the ratio of a plate, or one of which only the ratio is known.

        Raises:
            ZeroDivisionError: when the secondary value is 0.
        """
        ratio = super().__new__(cls, primary, 1 if maybe_secondary is None else maybe_secondary)
        ratio.maybe_primary = None if maybe_secondary is None else primary
        return ratio

    def __copy__(self) -> Self:
        """Return itself, as it never changes."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        """Return itself, as it never changes."""
        return self


def maybe_primary(ratio: Fraction, secondary: int) -> float | None:
    """Return the rated primary value of a transformer; `None` for a ratio of 1, which is no transformer.

    Args:
        ratio: As configured.
        secondary: Rated secondary value to assume where only a ratio was written.
    """
    if ratio == 1:
        return None
    written = ratio.maybe_primary if isinstance(ratio, TransformerRatio) else None
    return float(ratio * secondary if written is None else written)
