"""When the clock of this machine is in doubt, and when the doubt ends. Pure; observations are arguments.

A wrong clock does harm: rows of a right gateway are then "ahead" and set aside, or all of them are late. So
ingest compares what it knows, and while the clock is in doubt, it stores and acknowledges nothing.

Evidence of its own:
- The wall clock against the monotonic one: the clock may be set forward, but not back by more than
  `MAX_OFF_MS` against the furthest it has been.
- The journal: real time is never before its newest receipt.
- The kernel, where it must report that NTP keeps the clock (`clock: ntp`), once since the start.

Clocks of others: gateways whose own clock is kept by NTP (never those that take ingest's time). At least
`MIN_VOTERS` whose status came within `VOTE_MS`, over all parks: if over half of them differ by more than
`MAX_OFF_MS`, the clock is wrong, whatever the other evidence.

A doubt ends by itself: when the clock is set forward again, when the kernel reports that it is kept, or when
over half of these gateways agree with it. (Two clocks that are independent of each other agree only where
both are right, so one gateway is enough here, and no single one can stop a park.) A clock that was ahead and
is set right by hand, without NTP, needs a person: `run --believe-clock`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ingest.validation.rows import MAX_AHEAD_MS

MAX_OFF_MS = MAX_AHEAD_MS
MIN_VOTERS = 3
VOTE_MS = 10 * 60 * 1000
_DAY_MS = 24 * 60 * 60 * 1000
#: A clock that NTP keeps, as in a gateway's status (`metering.messages.status.Status.clock`).
SYNCHRONISED = "system"

_WHAT_TO_DO = (
    "nothing is stored or acknowledged until it is right, gateways keep their rows; look at `timedatectl`."
)
_IF_RIGHT = " If the clock is right, start once with --believe-clock."


@dataclass(frozen=True, slots=True)
class Seen:
    """The clocks of this machine at one instant; `is_synchronised`: by the kernel, NTP keeps them."""

    monotonic_ms: int
    wall_ms: int
    is_synchronised: bool = False

    @property
    def offset_ms(self) -> int:
        """Wall clock minus monotonic clock: constant unless the wall clock is set."""
        return self.wall_ms - self.monotonic_ms


def latest_time_ms(maybe_receipt_ms: int | None, now_ms: int) -> int:
    """Return the latest time of a former process, for `ingest.pipeline.writer.LateNotices`.

    A receipt more than a day ahead was written by a clock that was wrong; to call all rows late until then
    would cost more than it saves.
    """
    if maybe_receipt_ms is None or maybe_receipt_ms > now_ms + _DAY_MS:
        return now_ms
    return maybe_receipt_ms


@dataclass(frozen=True, slots=True)
class _Vote:
    """A gateway's time, as an offset to our monotonic clock, and when its status came."""

    offset_ms: int
    monotonic_ms: int


class ClockGuard:
    """Decides whether the clock of one process is in doubt.

    Args:
        first: The clocks at the start.
        newest_receipt_ms: Of all journals, UTC; `None` while they are empty.
        needs_kernel: Whether the kernel must have reported that the clock is kept.
        is_believed: Whether the operator states at the start that the clock is right.
    """

    def __init__(
        self,
        first: Seen,
        *,
        newest_receipt_ms: int | None = None,
        needs_kernel: bool = False,
        is_believed: bool = False,
    ) -> None:
        receipt_ms = first.wall_ms if newest_receipt_ms is None else newest_receipt_ms
        self._furthest_ms = first.offset_ms
        if not is_believed:
            self._furthest_ms = max(first.offset_ms, receipt_ms - first.monotonic_ms)
        self._is_kept = is_believed or not needs_kernel
        self._votes: dict[tuple[str, str], _Vote] = {}
        self._offset_ms = first.offset_ms
        self.maybe_doubt: str | None = None
        self.observe(first)

    def take_vote(self, park: str, gateway: str, *, clock: str, time_ms: int, seen: Seen) -> None:
        """Note a gateway's clock by a status of this instant; not a retained one."""
        if clock == SYNCHRONISED:
            self._votes[park, gateway] = _Vote(time_ms - seen.monotonic_ms, seen.monotonic_ms)
        else:
            self._votes.pop((park, gateway), None)

    def has_jumped(self, seen: Seen) -> bool:
        """Return whether the clock was set since the last observation, by more than a doubt needs."""
        return abs(seen.offset_ms - self._offset_ms) > MAX_OFF_MS

    def observe(self, seen: Seen) -> None:
        """Look at the clocks and decide; to be called about once a second."""
        self._offset_ms = seen.offset_ms
        oldest_ms = seen.monotonic_ms - VOTE_MS
        self._votes = {who: vote for who, vote in self._votes.items() if vote.monotonic_ms >= oldest_ms}
        differences = [vote.offset_ms - seen.offset_ms for vote in self._votes.values()]
        off = sum(abs(one) > MAX_OFF_MS for one in differences)
        if len(differences) >= MIN_VOTERS and 2 * off > len(differences):
            self.maybe_doubt = _outvoted(differences, off)
            return
        if seen.is_synchronised or 2 * (len(differences) - off) > len(differences):
            self._furthest_ms, self._is_kept = seen.offset_ms, True
        self.maybe_doubt = self._maybe_own_doubt(seen)
        if self.maybe_doubt is None:
            self._furthest_ms = max(self._furthest_ms, seen.offset_ms)

    def _maybe_own_doubt(self, seen: Seen) -> str | None:
        behind_ms = self._furthest_ms - seen.offset_ms
        if behind_ms > MAX_OFF_MS:
            return (
                f"the clock of this machine is {_span(behind_ms)} behind what it was, or behind the newest"
                f" message in the journal: {_WHAT_TO_DO}{_IF_RIGHT}"
            )
        if not self._is_kept:
            return f"no NTP keeps the clock of this machine (setting clock: ntp): {_WHAT_TO_DO}{_IF_RIGHT}"
        return None


def _outvoted(differences: Iterable[int], off: int) -> str:
    ordered = sorted(differences)
    median_ms = ordered[len(ordered) // 2]
    side = "behind" if median_ms > 0 else "ahead of"
    return (
        f"the clock of this machine is {_span(abs(median_ms))} {side} that of the gateways ({off} of"
        f" {len(ordered)} that NTP keeps differ): {_WHAT_TO_DO}"
    )


def _span(time_ms: int) -> str:
    minutes = round(time_ms / 60_000)
    if minutes < 120:  # noqa: PLR2004 - from here on hours say more
        return f"{minutes} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"
