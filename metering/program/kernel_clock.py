"""Whether NTP keeps the wall clock, as the kernel reports it by adjtimex(2)."""

import ctypes

# State of a clock that is not synchronised.
_TIME_ERROR = 5
_TIMEX_BYTES = 256


class KernelClock:
    """The kernel's report on its wall clock."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def is_synchronised(self) -> bool:
        """Return whether the clock is synchronised; false again after it was set by hand."""
        # A struct timex of zeros reads and changes nothing; only the returned state is used.
        state = self._libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return 0 <= int(state) < _TIME_ERROR
