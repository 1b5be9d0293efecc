"""How long a character and the silence between frames take on a line. Pure.

The silence follows "MODBUS over Serial Line Specification and Implementation Guide V1.02", 2.5.1: 11 bits per
character as a rule, frames apart by 3.5 characters, at over 19200 Bd by 1.75 ms.
"""

from dataclasses import dataclass

_SILENCE_CHARS = 3.5
_FAST_BAUD = 19200
_FAST_SILENCE_S = 0.00175


@dataclass(frozen=True, slots=True)
class LineTiming:
    """What a request costs on a bus.

    Attributes:
        baud: Speed of the serial line; `None` for a network.
        bits_per_char: Start, data, parity and stop bits.
        latency_s: Round trip of the network, also that of a serial line behind one.
    """

    baud: int | None = None
    bits_per_char: int = 11
    latency_s: float = 0.0

    @classmethod
    def serial(
        cls, *, baud: int, parity: str = "E", stop_bits: int = 1, latency_s: float = 0.0
    ) -> "LineTiming":
        """Return a serial line; parity is `N`, `E` or `O`."""
        return cls(baud, 1 + 8 + (parity != "N") + stop_bits, latency_s)

    @classmethod
    def network(cls, *, latency_s: float = 0.002) -> "LineTiming":
        """Return a network."""
        return cls(None, latency_s=latency_s)

    @property
    def char_s(self) -> float:
        """Seconds per character; 0 on a network."""
        return self.bits_per_char / self.baud if self.baud else 0.0

    @property
    def silence_s(self) -> float:
        """Seconds of prescribed silence between frames."""
        if self.baud is None:
            return 0.0
        return _FAST_SILENCE_S if self.baud > _FAST_BAUD else _SILENCE_CHARS * self.char_s
