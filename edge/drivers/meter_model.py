"""What every protocol's description of a meter model has in common. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from metering.quantities import Medium


class ModelStatus(StrEnum):
    """Whether somebody could check the table: see `MeterModel.status`."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Plausible:
    """For models without an identity: a quantity in this range speaks for the model."""

    quantity: str
    low: float
    high: float


class Column(Protocol):
    """One quantity of a model."""

    @property
    def quantity(self) -> str:
        """Name in the vocabulary, or of the park's own."""

    @property
    def is_counter(self) -> bool:
        """Whether it only ever rises."""


class MeterModel(Protocol):
    """A meter model; each driver has a type of its own that says how to read it."""

    @property
    def protocol(self) -> str:
        """Name of the driver that reads it (`edge.drivers.table`)."""

    @property
    def model(self) -> str:
        """Catalogue id (`eastron-sdm630`)."""

    @property
    def medium(self) -> Medium:
        """What flows."""

    @property
    def hash(self) -> str:
        """Changes whenever what is read or how it is understood changes."""

    @property
    def status(self) -> ModelStatus:
        """Whether somebody could check the table."""

    @property
    def channels(self) -> int:
        """How many meters are in the device."""

    @property
    def plausible(self) -> Sequence[Plausible]:
        """Ranges that speak for the model, where it cannot be asked for its name."""

    def channel(self, number: int = 1) -> Sequence[Column]:
        """Return the quantities of one channel, the first being 1.

        Raises:
            ValueError: when the model does not have that channel.
        """
