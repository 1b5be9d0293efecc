"""How long to leave alone what does not answer. Pure: time and dice are arguments.

A mute meter costs one timeout; from then on it gets single probes, one cheap block each, with a pause that
doubles up to `MOST_PROBE_S`. All probes of a bus together take at most `PROBE_SHARE` of its time, however
many meters are mute: after a probe of t seconds the next starts t / `PROBE_SHARE` after the start of this.
"""

from edge.pace import JITTER

#: Part of a line's time that probes of mute meters may take.
PROBE_SHARE = 0.05
#: Longest pause between two probes of one meter, jitter apart.
MOST_PROBE_S = 300.0
_FIRST_RECONNECT_S = 0.5
_MOST_RECONNECT_S = 30.0


def growing_s(failures: int, *, first_s: float, most_s: float, jitter: float) -> float:
    """Give the pause after some failures in a row: doubling, capped, a little longer by chance.

    Args:
        failures: 1 after the first.
        first_s: Pause after the first.
        most_s: Largest pause, jitter apart.
        jitter: Random number in [0, 1).
    """
    # 2^30 of anything is above any cap; larger powers would overflow after years.
    doubled_s = first_s * 2.0 ** min(failures - 1, 30)
    return float(min(doubled_s, most_s) * (1 + JITTER * jitter))


def probe_pause_s(failures: int, *, poll_s: float, jitter: float) -> float:
    """Give the pause before a mute meter is probed again; the first comes with its next poll."""
    return growing_s(failures, first_s=poll_s, most_s=max(MOST_PROBE_S, poll_s), jitter=jitter)


def reconnect_pause_s(failures: int, *, jitter: float) -> float:
    """Give the pause before a line is opened again."""
    return growing_s(failures, first_s=_FIRST_RECONNECT_S, most_s=_MOST_RECONNECT_S, jitter=jitter)


class ProbeBudget:
    """Holds the probes of one bus to their share of its time."""

    def __init__(self, share: float = PROBE_SHARE) -> None:
        self._share = share
        self._ready_at_s = float("-inf")

    @property
    def ready_at_s(self) -> float:
        """When the next probe may start."""
        return self._ready_at_s

    def spend(self, *, started_s: float, ended_s: float) -> None:
        """Note a probe."""
        self._ready_at_s = started_s + (ended_s - started_s) / self._share
