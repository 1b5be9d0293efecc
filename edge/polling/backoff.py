"""How long to leave alone what does not answer. Pure: time and jitter are arguments.

A mute meter costs one timeout; from then on it gets single probes, one cheap block each, with a pause that
doubles up to `MAX_PROBE_S`. All probes of a bus together take at most `PROBE_SHARE` of its time, however
many meters are mute: after a probe of t seconds the next starts t / `PROBE_SHARE` after the start of this.
Who is mute, and who only lost a frame or stands on a silent line, is decided in `edge.polling.silence`.
"""

from metering.program.backoff import growing_s

#: Part of a line's time that probes of mute meters may take.
PROBE_SHARE = 0.05
#: Longest pause between two probes of one meter, jitter apart.
MAX_PROBE_S = 300.0
#: Longest pause before a device is asked again that answers but cannot be polled (refusals, wrong model).
MAX_RECHECK_S = 300.0
# A lost frame is asked for again soon; on RTU the late window (3 s as a rule) allows it no sooner.
_FIRST_RETRY_S = 3.0
# With jitter at most 20 s: one meter alone on its line is noticed within 30 s of its power's return.
_MAX_RETRY_S = 16.0
_FIRST_RECONNECT_S = 0.5
# With jitter and the time for connecting in vain (5 s) below 30 s.
_MAX_RECONNECT_S = 15.0
_FIRST_SILENCE_S = 10.0
_MAX_SILENCE_S = 60.0
# Enough to put those that failed fewer times first, too little to matter in time.
_YIELD_S = 0.02
_MAX_YIELDS = 20


def probe_pause_s(failures: int, *, poll_s: float, jitter: float) -> float:
    """Return the pause before a mute meter is probed again; the first comes with its next poll."""
    return growing_s(failures, first_s=poll_s, max_s=max(MAX_PROBE_S, poll_s), jitter=jitter)


def retry_pause_s(failures: int, *, poll_s: float, jitter: float) -> float:
    """Return the pause before a silent device is asked again that is not known to be mute.

    The first one is no longer than a poll period: a lost frame costs no more than a poll.
    """
    pause_s = growing_s(failures, first_s=_FIRST_RETRY_S, max_s=_MAX_RETRY_S, jitter=jitter)
    return min(pause_s, poll_s) if failures == 1 else pause_s


def recheck_pause_s(times: int, *, jitter: float) -> float:
    """Return the pause before a device is asked again that answers but cannot be polled: it may boot."""
    return growing_s(times, first_s=_FIRST_RETRY_S, max_s=MAX_RECHECK_S, jitter=jitter)


def reconnect_pause_s(failures: int, *, jitter: float) -> float:
    """Return the pause before a line is opened again."""
    return growing_s(failures, first_s=_FIRST_RECONNECT_S, max_s=_MAX_RECONNECT_S, jitter=jitter)


def silence_before_reconnect_s(connects_in_vain: int) -> float:
    """Return how long a network line may be silent before it is opened anew.

    Args:
        connects_in_vain: How often it was opened since the last answer.
    """
    times = max(1, connects_in_vain)
    return growing_s(times, first_s=_FIRST_SILENCE_S, max_s=_MAX_SILENCE_S, jitter=0.0)


class ProbeBudget:
    """Holds the probes of one bus to their share of its time."""

    def __init__(self) -> None:
        self._ready_at_s = float("-inf")

    @property
    def ready_at_s(self) -> float:
        """When the next probe may start."""
        return self._ready_at_s

    def ready_s(self, failures: int) -> float:
        """Return when a device that failed so many times in a row may be probed: fewer failures go first."""
        return self._ready_at_s + _YIELD_S * min(failures, _MAX_YIELDS)

    def spend(self, *, started_s: float, ended_s: float, share: float = PROBE_SHARE) -> None:
        """Note a probe; the next one starts so much later that probes keep to the share."""
        self._ready_at_s = started_s + (ended_s - started_s) / share
