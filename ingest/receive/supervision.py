"""The one place of ingest where any exception is caught: handling received bytes.

A message that makes our own code fail is set aside, counted and PUBACKed, and the next one is handled. The
log has one traceback per subject and type of exception, so that a flood of such messages does not fill it.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

_LOGGER = logging.getLogger(__name__)
#: Subjects whose traceback the log has; beyond this number nothing new is logged.
_MAX_LOGGED = 1000

T = TypeVar("T")
_logged: set[tuple[str, str]] = set()


def supervised(subject: str, work: Callable[[], T], instead: Callable[[Exception], T]) -> T:
    """Do some work on received bytes; never raises.

    Args:
        subject: What is worked on, for the log.
        work: Returns the result.
        instead: Returns the result where `work` raises.
    """
    try:
        return work()
    except Exception as error:
        if _is_first(subject, error):
            _LOGGER.exception(
                "%s: set aside, because handling it failed; others like it are only counted."
                " Please report this traceback",
                subject,
            )
        return instead(error)


def _is_first(subject: str, error: Exception) -> bool:
    key = (subject, type(error).__name__)
    if key in _logged or len(_logged) >= _MAX_LOGGED:
        return False
    _logged.add(key)
    return True
