"""How long ingest waits after failures in a row, of the store, the disk or the broker. Pure."""

from metering.program.backoff import growing_s

_FIRST_S = 0.25
#: Short, so that live data are there within seconds after an outage; one body per park is no storm.
_MAX_S = 5.0


def pause_s(failures: int, jitter: float, *, retry_after_s: float | None = None) -> float:
    """Return the seconds to wait after some failures in a row.

    Args:
        failures: 1 after the first.
        jitter: Random number in [0, 1).
        retry_after_s: What the server asked for; capped like every pause.
    """
    grown_s = growing_s(failures, first_s=_FIRST_S, max_s=_MAX_S, jitter=jitter)
    asked_s = growing_s(1, first_s=retry_after_s or 0.0, max_s=_MAX_S, jitter=jitter)
    return max(grown_s, asked_s)
