"""Log lines about missing registers: one when a meter stops to give one, one when it gives it again."""

import logging
from collections.abc import Sequence

from edge.missing import Missing, Role

_LOGGER = logging.getLogger(__name__)
# A register that comes and goes is told once in this time; `/status` shows it always.
_QUIET_S = 3600.0
_COUNTER_HINT = ". If this meter does not have it: leave it out with `skip: true`"
_WORTH_A_WARNING = (Role.COUNTER, Role.IDENTITY)


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
        for name, one in after.items():
            if name not in self._missing:
                self._tell_loss(one, now_s)
        for name, one in self._missing.items():
            if name not in after and name in self._is_told:
                self._is_told.discard(name)
                _LOGGER.info("%s gives %s again, after %.0f s", self._where, name, now_s - one.since_s)
        self._missing = after

    def _tell_loss(self, one: Missing, now_s: float) -> None:
        name = one.use.name
        if now_s - self._told_at_s.get(name, float("-inf")) < _QUIET_S:
            return
        self._told_at_s[name] = now_s
        self._is_told.add(name)
        level = logging.WARNING if one.use.role in _WORTH_A_WARNING else logging.INFO
        hint = _COUNTER_HINT if one.is_counter else ""
        _LOGGER.log(level, "%s does not give %s; it is asked for again by itself%s", self._where, one.text, hint)
