"""Keeps track of late rows: which notices were dealt with, and which wait for more of their kind. Pure.

A notice may become visible after its own time, so the last ten minutes are read again each time and notices
known already are passed over. A bulk of history arrives as thousands of notices: they are gathered until a
reading of `late` brings nothing new, or the first has waited for two minutes.
"""

from collections.abc import Iterable, Mapping

from ingest.rollup.series.raw import LateNotice
from metering.series import LATE_REREAD_MS

_MAX_WAIT_MS = 2 * 60 * 1000


class LateNoticeLog:
    """The late notices of a park."""

    def __init__(self, *, since_ms: int) -> None:
        """Begin; notices older than `since_ms` were dealt with by a former process."""
        self._read_until_ms = since_ms
        #: All notices before this time were dealt with.
        self.settled_ms = since_ms
        self._known: dict[tuple[str, str, int], int] = {}
        self._waiting: dict[str, tuple[int, int]] = {}
        self._waiting_since_ms = 0
        self._is_quiet = True

    @property
    def read_from_ms(self) -> int:
        """From when on `late` has to be read."""
        return self._read_until_ms - LATE_REREAD_MS

    def note(self, notices: Iterable[LateNotice], *, now_ms: int) -> None:
        """Take what was read at `now_ms`."""
        fresh = [one for one in notices if (one.meter, one.instance, one.time_ms) not in self._known]
        if fresh and not self._waiting:
            self._waiting_since_ms = now_ms
        for one in fresh:
            self._known[one.meter, one.instance, one.time_ms] = one.time_ms
            from_ms, to_ms = self._waiting.get(one.meter, (one.from_ms, one.to_ms))
            self._waiting[one.meter] = (min(from_ms, one.from_ms), max(to_ms, one.to_ms))
        self._is_quiet = not fresh
        # Follows a clock that is set back: ingest stamps its notices by the same clock.
        self._read_until_ms = now_ms
        self._settle()
        oldest_ms = self.read_from_ms
        self._known = {key: time_ms for key, time_ms in self._known.items() if time_ms >= oldest_ms}

    def due(self, *, now_ms: int, is_patient: bool) -> Mapping[str, tuple[int, int]]:
        """Return the times, first and last, that came late per meter, if it is time to deal with them."""
        has_waited = now_ms - self._waiting_since_ms >= _MAX_WAIT_MS
        return dict(self._waiting) if self._is_quiet or has_waited or not is_patient else {}

    def done(self, meters: Iterable[str]) -> None:
        """What was due has been dealt with."""
        for meter in tuple(meters):
            self._waiting.pop(meter, None)
        self._settle()

    def _settle(self) -> None:
        if not self._waiting:
            self.settled_ms = self._read_until_ms
