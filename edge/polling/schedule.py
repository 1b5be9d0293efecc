"""Who is polled next on a bus, and when. Pure: both clocks are arguments.

Contract:
- Polls fall on whole multiples of their period on the wall clock (10 s: at :00, :10, :20), but are counted on
  the monotonic clock: when the wall clock is set, no poll is doubled or left out; the instants move towards
  the new alignment by at most a tenth of a period per poll.
- Of the devices that are due, the one served longest ago goes first: on a bus that is too slow, all get the
  same share.
- Nothing piles up: an instant that has passed unused is skipped and counted, never made up for.
- A device can be held until an instant (a mute one, between probes); what passes meanwhile is not counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

#: Largest change of one interval, as a part of the period, to get back to the wall clock's alignment.
_SLEW = 0.1


def aligned_after(now_s: float, *, wall_s: float, period_s: float) -> float:
    """Return the first monotonic instant after now that is a multiple of the period on the wall clock."""
    return now_s + period_s - wall_s % period_s


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn is next.

    Attributes:
        device: Position in the list of devices.
        at_s: When, on the monotonic clock; in the past when it is late.
    """

    device: int
    at_s: float


@dataclass(frozen=True, slots=True)
class _Plan:
    """One device's next instant; `is_regular` while it follows the wall clock."""

    period_s: float
    due_s: float
    served_s: float = float("-inf")
    not_before_s: float = float("-inf")
    is_regular: bool = True

    @property
    def ready_s(self) -> float:
        return max(self.due_s, self.not_before_s)


class Schedule:
    """The turns of the devices of one bus.

    Args:
        periods_s: Seconds between polls, per device.
        now_s: Monotonic clock; the first turns are due at once, so that a technician sees data at once.
    """

    def __init__(self, periods_s: Sequence[float], *, now_s: float) -> None:
        self._plans = [_Plan(period_s, now_s, is_regular=False) for period_s in periods_s]

    def next(self, *, now_s: float) -> Turn:
        """Return the next turn; of several that are ready now, the one served longest ago."""
        plans = self._plans

        def urgency(device: int) -> tuple[float, float]:
            return max(plans[device].ready_s, now_s), plans[device].served_s

        device = min(range(len(plans)), key=urgency)
        return Turn(device, plans[device].ready_s)

    def done(self, device: int, *, now_s: float, wall_s: float) -> int:
        """Note that a device had its turn; gives how many of its instants were skipped."""
        plan = self._plans[device]
        if not plan.is_regular:
            due_s = aligned_after(now_s, wall_s=wall_s, period_s=plan.period_s)
            self._plans[device] = _Plan(plan.period_s, due_s, served_s=now_s)
            return 0
        due_s = plan.due_s + plan.period_s
        # How far the next instant lies behind (+) or before (-) a whole multiple on the wall clock.
        off_s = (wall_s + due_s - now_s) % plan.period_s
        off_s -= plan.period_s if off_s > plan.period_s / 2 else 0
        max_s = _SLEW * plan.period_s
        due_s -= max(-max_s, min(max_s, off_s))
        skipped = 0
        while due_s <= now_s:
            due_s += plan.period_s
            skipped += 1
        self._plans[device] = _Plan(plan.period_s, due_s, served_s=now_s)
        return skipped

    def hold(self, device: int, *, until_s: float) -> None:
        """Leave a device alone until an instant; its place in the order stays."""
        self._plans[device] = replace(self._plans[device], not_before_s=until_s)

    def retry(self, device: int, *, now_s: float, at_s: float) -> None:
        """Note a turn in vain; the next one comes at an instant of its own, whatever the wall clock says."""
        self._plans[device] = _Plan(self._plans[device].period_s, at_s, served_s=now_s, is_regular=False)
