"""Reads that stand alone. Pure.

A read that has no other of its counter within two months, before or after it, is in no sum: a single wrong
date would else be interpolated over, for years and with a point for each quarter-hour of them. Once the
counter is read again the read stands alone no more, so a meter that was silent for months counts from its
second read on, with the gap filled. No meter is read less often than once in two months.
"""

from collections.abc import Iterable

from ingest.intervals.counters import Read

ALONE_MS = 62 * 24 * 60 * 60 * 1000


def lone_times(reads: Iterable[Read]) -> list[int]:
    """Return the times of the reads that have none of the others near, ascending."""
    times_ms = sorted({read[0] for read in reads})
    return [
        time_ms
        for i, time_ms in enumerate(times_ms)
        if (not i or time_ms - times_ms[i - 1] > ALONE_MS)
        and (i == len(times_ms) - 1 or times_ms[i + 1] - time_ms > ALONE_MS)
    ]
