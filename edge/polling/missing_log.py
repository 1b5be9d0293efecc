"""Log lines about missing registers: one when a meter stops to give one, one when it gives it again."""

import logging
from collections.abc import Sequence

from edge.drivers.missing import Missing, MissingRole

_LOGGER = logging.getLogger(__name__)
# A register that comes and goes is told once in this time; `/status` shows it always.
_QUIET_S = 3600.0
_COUNTER_HINT = ". If this meter does not have it, leave it out with `skip: true`"
_WORTH_A_WARNING = (MissingRole.COUNTER, MissingRole.IDENTITY)


class MissingLog:
    """What was said of one device."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._missing: dict[str, Missing] = {}
        self._told_at_s: dict[str, float] = {}
        self._is_told: set[str] = set()

    def note(self, missing: Sequence[Missing], *, now_s: float) -> None:
        """Take what is missing now, and say what is new."""
        after = {one.use.name: one for one in missing}
        self._tell_losses([one for name, one in after.items() if name not in self._missing], now_s)
        self._tell_returns([one for name, one in self._missing.items() if name not in after], now_s)
        self._missing = after

    def _tell_losses(self, lost: Sequence[Missing], now_s: float) -> None:
        news = [one for one in lost if now_s - self._told_at_s.get(one.use.name, float("-inf")) >= _QUIET_S]
        self._told_at_s.update((one.use.name, now_s) for one in news)
        self._is_told.update(one.use.name for one in news)
        for level in (logging.WARNING, logging.INFO):
            some = [one for one in news if _level(one) == level]
            if some:
                text = "; ".join(one.text for one in some)
                hint = _COUNTER_HINT if any(one.is_counter for one in some) else ""
                _LOGGER.log(
                    level, "%s does not give %s; asked for again by itself%s", self._where, text, hint
                )

    def _tell_returns(self, given: Sequence[Missing], now_s: float) -> None:
        news = [one for one in given if one.use.name in self._is_told]
        self._is_told.difference_update(one.use.name for one in news)
        if news:
            names = ", ".join(one.use.name for one in news)
            longest_s = now_s - min(one.since_s for one in news)
            _LOGGER.info("%s gives %s again, after %.0f s", self._where, names, longest_s)


def _level(one: Missing) -> int:
    return logging.WARNING if one.use.role in _WORTH_A_WARNING else logging.INFO
