"""Whether the kernel says that somebody keeps the wall clock (NTP), by adjtimex(2)."""

import ctypes

# State of a clock that nobody keeps.
_TIME_ERROR = 5
_TIMEX_BYTES = 256


class KernelClock:
    """The kernel's word on its wall clock."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def is_synchronised(self) -> bool:
        """Return whether the clock is kept; false again after somebody has set it by hand."""
        # A struct timex of zeros asks and changes nothing; the state is all we need of it.
        state = self._libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return 0 <= int(state) < _TIME_ERROR
