"""How long to wait after failures in a row: the back-off of all programs. Pure: jitter is an argument."""

#: Largest part of a pause that jitter adds, so that many clients do not try again at the same instant.
JITTER = 0.25


def growing_s(failures: int, *, first_s: float, max_s: float, jitter: float) -> float:
    """Return the pause after some failures in a row: doubling, capped, a little longer by chance.

    Args:
        failures: 1 after the first.
        first_s: Pause after the first.
        max_s: Largest pause, jitter apart.
        jitter: Random number in [0, 1).
    """
    # 2^30 of anything is above any cap; larger powers would overflow after years.
    doubled_s = first_s * 2.0 ** min(failures - 1, 30)
    return float(min(doubled_s, max_s) * (1 + JITTER * jitter))
