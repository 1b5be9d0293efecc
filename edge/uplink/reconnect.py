"""When to connect to the broker again, and what is logged about it. Pure: time and jitter are arguments.

Contract:
- Pauses double from `_FIRST_S`: up to `_MAX_AWAY_S` where the broker cannot be reached, up to
  `_MAX_REFUSED_S` where it refuses us or where another client uses our id: each try costs a handshake.
- An outage gives one log line per cause at its beginning and one at its end, however long it lasts.
- Two programs with one client id take the connection from each other. Some brokers send that reason, others
  only close the connection: after `_SUSPICIOUS` connections in a row that were accepted at the first try and
  did not last for `STABLE_S`, that is assumed to be the cause, until one lasts.
"""

from dataclasses import dataclass

from edge.uplink.link_end import Cause, End, taken_over
from metering.program.backoff import growing_s

#: A connection that lasts so long is stable; longer than the pauses of another client with our id.
STABLE_S = 90.0
_FIRST_S = 0.5
_MAX_AWAY_S = 10.0
_MAX_REFUSED_S = 60.0
_SUSPICIOUS = 3


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line to log."""

    text: str
    is_warning: bool


class Reconnects:
    """Follows the connections of one client."""

    def __init__(self, *, broker: str, client_id: str) -> None:
        self._broker = broker
        self._client_id = client_id
        self._logged: set[str] = set()
        self._problem = ""
        self._failures = 0
        self._short_lived = 0
        self._max_pause_s = _MAX_AWAY_S
        self._maybe_away_at_s: float | None = None
        self._is_up = False
        self._was_stable = False

    @property
    def problem(self) -> str:
        """What is wrong, in words; empty when nothing is."""
        return self._problem

    def up(self, *, now_s: float) -> LogLine | None:
        """Note that the broker has accepted us."""
        is_flapping = not self._failures and self._short_lived > 1
        if self._failures:
            self._short_lived = 0
        tries, self._failures = self._failures + 1, 0
        self._is_up, self._was_stable = True, False
        if self._short_lived < _SUSPICIOUS:
            self._problem = ""
        if is_flapping:
            return None
        self._logged.clear()
        if self._maybe_away_at_s is None:
            return LogLine(f"connected to the broker at {self._broker}", is_warning=False)
        away_s = now_s - self._maybe_away_at_s
        text = f"connected to the broker at {self._broker} after {away_s:.0f} s (tries: {tries})"
        return LogLine(text, is_warning=False)

    def stable(self) -> LogLine | None:
        """Note that the connection has lasted for `STABLE_S`."""
        was_wrong, self._problem = bool(self._problem), ""
        self._was_stable, self._short_lived = True, 0
        self._logged.clear()
        text = f"the connection to the broker at {self._broker} is stable"
        return LogLine(text, is_warning=False) if was_wrong else None

    def down(self, end: End, *, now_s: float) -> LogLine | None:
        """Note the end of a connection or of a try."""
        end = self._with_cause(end)
        if self._is_up or self._maybe_away_at_s is None:
            self._maybe_away_at_s = now_s
        self._is_up = False
        is_refusal = end.cause in (Cause.REFUSED, Cause.TAKEN_OVER)
        self._max_pause_s = _MAX_REFUSED_S if is_refusal else _MAX_AWAY_S
        self._problem = end.text
        if end.text in self._logged:
            return None
        self._logged.add(end.text)
        text = (
            f"no connection to the broker at {self._broker}: {end.text} (trying again, with growing pauses)"
        )
        return LogLine(text, is_warning=True)

    def pause_s(self, jitter: float) -> float:
        """Return how long to wait before the next try; `jitter` is a random number in [0, 1)."""
        failures = max(1, self._failures, 1 + self._short_lived - _SUSPICIOUS)
        return growing_s(failures, first_s=_FIRST_S, max_s=self._max_pause_s, jitter=jitter)

    def _with_cause(self, end: End) -> End:
        if not self._is_up:
            self._failures += 1
            return end
        self._short_lived += 0 if self._was_stable else 1
        if end.cause is Cause.TAKEN_OVER:
            self._short_lived = max(self._short_lived, _SUSPICIOUS)
        elif self._short_lived >= _SUSPICIOUS:
            return End(Cause.TAKEN_OVER, taken_over(self._client_id, is_guess=True))
        return end
