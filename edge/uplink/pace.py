"""How long to wait for an acknowledgement, and how fast to send. Pure: time is an argument."""

from metering.program.backoff import JITTER

# RFC 6298, section 2: gains of the smoothed time and of its variation.
_ALPHA = 1 / 8
_BETA = 1 / 4


class AckTimeout:
    """Retransmission time-out after RFC 6298: smoothed time plus four times its variation, then doubled.

    Args:
        first_s: Before any acknowledgement was measured.
        min_s: However fast acknowledgements are.
        max_s: However slow, jitter included.
    """

    def __init__(self, *, first_s: float, min_s: float, max_s: float) -> None:
        self._first_s = first_s
        self._min_s = min_s
        self._max_s = max_s
        self._maybe_smoothed_s: float | None = None
        self._variation_s = 0.0
        self._factor = 1.0
        self._doubled_at_s = float("-inf")

    def measured(self, seconds: float) -> None:
        """Add the time to the acknowledgement of a message that was sent once (Karn's rule)."""
        if self._maybe_smoothed_s is None:
            self._maybe_smoothed_s, self._variation_s = seconds, seconds / 2
        else:
            off = abs(self._maybe_smoothed_s - seconds)
            self._variation_s += _BETA * (off - self._variation_s)
            self._maybe_smoothed_s += _ALPHA * (seconds - self._maybe_smoothed_s)
        self._factor = 1.0

    def expired(self, *, sent_at_s: float, now_s: float) -> None:
        """Double, once per flight: messages sent before the last doubling do not count."""
        if sent_at_s >= self._doubled_at_s:
            self._doubled_at_s = now_s
            self._factor = min(2 * self._factor, self._max_s / self._min_s)

    def seconds(self, jitter: float) -> float:
        """Return the time-out; `jitter` is a random number in [0, 1)."""
        base = self._first_s
        if self._maybe_smoothed_s is not None:
            base = max(self._maybe_smoothed_s + 4 * self._variation_s, self._min_s)
        return min(base * self._factor, self._max_s / (1 + JITTER)) * (1 + JITTER * jitter)


class Rate:
    """A token bucket that holds one second's worth; the last amount taken may overdraw it."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._tokens = per_s
        self._at_s = float("-inf")

    def allows(self, now_s: float) -> bool:
        """Tell whether an amount may be taken now."""
        if now_s > self._at_s:
            self._tokens = min(self._per_s, self._tokens + (now_s - self._at_s) * self._per_s)
            self._at_s = now_s
        return self._tokens > 0

    def take(self, amount: float) -> None:
        """Take an amount."""
        self._tokens -= amount
