"""Registers that a meter does not give at present, and when each is asked for again.

Pure: time is an argument.

Contract:
- Nothing is given up for good. What is missing is asked for again alone, after a pause that doubles with each
  failure. A counter that was refused waits a minute at most.
- A refusal costs the line one short request, a time-out much more (and on a serial line the late window), so
  pauses after a time-out start longer.
- A register that is *planned* is still read with the others at each poll: a busy meter, or a block that is
  being taken apart. Any other is out of the plan until it is answered.
"""

from collections.abc import Mapping
from dataclasses import replace

from edge.drivers.missing import Missing, MissingRole, Use
from edge.drivers.modbus.profile import Register
from edge.errors import BusError, MeterRefused
from metering.program.backoff import growing_s

_FIRST_REFUSED_S = 5.0
_FIRST_MUTE_S = 60.0
_MAX_COUNTER_S = 60.0
_MAX_REFUSED_S = 300.0
_MAX_MUTE_COUNTER_S = 300.0
_MAX_MUTE_S = 3600.0
# Of several that are due at the same time, the first is asked for first.
_ORDER = tuple(MissingRole)


class MissingRegisters:
    """The missing registers of one device.

    Args:
        uses: All registers of the device.
    """

    def __init__(self, uses: Mapping[Register, Use]) -> None:
        self._uses = uses
        self._missing: dict[Register, Missing] = {}

    @property
    def all(self) -> tuple[Missing, ...]:
        """All of them, the next to be asked for first."""
        return tuple(sorted(self._missing.values(), key=_urgency))

    @property
    def unplanned(self) -> tuple[Register, ...]:
        """Those that are out of the plan."""
        return tuple(register for register, one in self._missing.items() if not one.is_planned)

    def __bool__(self) -> bool:
        return bool(self._missing)

    def __contains__(self, register: Register) -> bool:
        return register in self._missing

    def lose(self, register: Register, error: BusError, *, now_s: float) -> None:
        """Note that a register, asked for alone, was not given."""
        before = self._missing.get(register)
        failures = 1 if before is None or before.is_planned else before.failures + 1
        use = self._uses[register]
        self._missing[register] = Missing(
            place=register.place,
            use=use,
            reason=_reason(error),
            since_s=now_s if before is None else before.since_s,
            retry_at_s=now_s + _pause_s(failures, error, use.role),
            failures=failures,
            is_refused=isinstance(error, MeterRefused),
            place_in_full=_in_full(register),
        )

    def postpone(self, register: Register, reason: str, *, now_s: float, next_s: float) -> None:
        """Note that a register was not given and is read again with the others, at `next_s`."""
        before = self._missing.get(register)
        since_s = now_s if before is None else before.since_s
        use = self._uses[register]
        self._missing[register] = Missing(
            place=register.place,
            use=use,
            reason=reason,
            since_s=since_s,
            retry_at_s=next_s,
            is_planned=True,
            place_in_full=_in_full(register),
        )

    def find(self, register: Register) -> None:
        """Note that a register was given."""
        self._missing.pop(register, None)

    def is_counter(self, register: Register) -> bool:
        """Whether a register holds a counter."""
        return self._uses[register].role is MissingRole.COUNTER

    def is_due(self, register: Register, *, now_s: float) -> bool:
        """Whether a register may be asked for: it is not missing, or its pause is over."""
        maybe_missing = self._missing.get(register)
        return maybe_missing is None or maybe_missing.retry_at_s <= now_s

    def due(self, *, now_s: float) -> tuple[Register, ...]:
        """Return what is to be asked for alone, in the order of their times: so each has its turn."""
        ordered = sorted(self._missing.items(), key=lambda item: _urgency(item[1]))
        return tuple(register for register, one in ordered if not one.is_planned and one.retry_at_s <= now_s)

    def expect_change(self, *, now_s: float) -> None:
        """Make refused registers due: the meter may have started anew, or been changed for another."""
        for register, one in self._missing.items():
            if one.is_refused:
                self._missing[register] = replace(one, retry_at_s=now_s)


def _reason(error: BusError) -> str:
    # Which register it was stands beside it.
    return error.reason if isinstance(error, MeterRefused) else str(error)


def _urgency(missing: Missing) -> tuple[float, int]:
    return missing.retry_at_s, _ORDER.index(missing.use.role)


def _pause_s(failures: int, error: BusError, role: MissingRole) -> float:
    is_counter = role is MissingRole.COUNTER
    if isinstance(error, MeterRefused):
        first_s, max_s = _FIRST_REFUSED_S, _MAX_COUNTER_S if is_counter else _MAX_REFUSED_S
    else:
        first_s, max_s = _FIRST_MUTE_S, _MAX_MUTE_COUNTER_S if is_counter else _MAX_MUTE_S
    return growing_s(failures, first_s=first_s, max_s=max_s, jitter=0.0)


def _in_full(register: Register) -> str:
    return f"{register.function.name.lower()} register {register.address}"
