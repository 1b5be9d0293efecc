"""How buses and meters are: counters and states, for the local pages and the status message.

The pollers note what happens, in the event loop; pages are drawn in another thread. Each entry is a frozen
value that is replaced as a whole, and the sets of buses and devices never change, so a page sees every entry
either before or after a change, never in between, and nobody waits for a lock.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from edge.drivers.counts import Counts
from edge.drivers.missing import Missing
from edge.drivers.settings import BusConfig, DeviceAddress, DeviceConfig, place

_WINDOW_S = 60.0
_NOTHING_COUNTED = Counts()


class BusState(StrEnum):
    """Whether a line can be used: it is open, and devices on it answer."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"


class DeviceState(StrEnum):
    """Whether a device gives rows, and whether they are whole."""

    WAITING = "waiting"
    GOOD = "good"
    COUNTER_MISSING = "counter missing"
    UNCONFIRMED = "identity not confirmed"
    SILENT = "silent"
    WRONG_MODEL = "wrong model"
    UNUSABLE = "unusable"


#: States of a device that gives rows.
GIVING_ROWS = (DeviceState.GOOD, DeviceState.COUNTER_MISSING, DeviceState.UNCONFIRMED)
# One that was not asked yet may well answer.
_NOT_SILENT = (*GIVING_ROWS, DeviceState.WAITING)


@dataclass(frozen=True, slots=True)
class BusHealth:
    """One line.

    Attributes:
        name: As in the configuration.
        way: How it is reached, for people.
        state: Whether it can be used.
        detail: Why not.
        failures: How often it failed or could not be opened.
        busy_s: Seconds in which somebody was asked, since the start.
        busy_share: Part of the last full minute, 0 to 1.
    """

    name: str
    way: str
    state: BusState = BusState.STARTING
    detail: str = ""
    failures: int = 0
    busy_s: float = 0.0
    busy_share: float = 0.0
    window_at_s: float = 0.0
    window_busy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DeviceHealth:
    """One device.

    Attributes:
        meters: Ids of what it measures.
        bus: Name of its bus.
        address: Who is asked on the bus.
        model: Catalogue id.
        state: Whether it gives rows.
        detail: Why not.
        counts: Totals.
        maybe_good_at_s: When it last gave rows, monotonic; `None` = never yet.
        missing: Registers that it does not give at present.
    """

    meters: tuple[str, ...]
    bus: str
    address: DeviceAddress
    model: str
    state: DeviceState = DeviceState.WAITING
    detail: str = ""
    counts: Counts = _NOTHING_COUNTED
    maybe_good_at_s: float | None = None
    missing: tuple[Missing, ...] = ()

    @property
    def name(self) -> str:
        """Ids of its meters."""
        return " + ".join(self.meters)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return place(self.bus, self.address)

    def maybe_age_s(self, now_s: float) -> float | None:
        """Return the seconds since it last gave rows."""
        return None if self.maybe_good_at_s is None else now_s - self.maybe_good_at_s


@dataclass(frozen=True, slots=True)
class HealthSnapshot:
    """Everything at one instant, in the configuration's order."""

    at_s: float
    buses: tuple[BusHealth, ...]
    devices: tuple[DeviceHealth, ...]


class Health:
    """Takes notes; safe to read from any thread.

    Args:
        buses: All lines.
        devices: All devices.
        now_s: Monotonic clock.
    """

    def __init__(
        self,
        buses: Sequence[BusConfig],
        devices: Sequence[DeviceConfig],
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now_s = now_s
        self._buses = {
            one.name: BusHealth(one.name, str(one.transport), window_at_s=now_s()) for one in buses
        }
        self._devices = {
            (one.bus, one.address): DeviceHealth(
                tuple(point.meter for point in one.points), one.bus, one.address, one.profile.model
            )
            for one in devices
        }

    def snapshot(self) -> HealthSnapshot:
        """Return all entries as they are now."""
        return HealthSnapshot(self._now_s(), tuple(self._buses.values()), tuple(self._devices.values()))

    def counters(self) -> Mapping[str, int]:
        """Return the totals that this module knows of `metering.messages.status.COUNTERS`."""
        now = self.snapshot()
        total = Counts()
        for device in now.devices:
            total = total.plus(device.counts)
        return {
            "polls": total.polls,
            "timeouts": total.timeouts,
            "garbled_answers": total.garbled_answers,
            "exceptions": total.exceptions,
            "late_answers": total.late_answers,
            "line_failures": sum(bus.failures for bus in now.buses),
            "meters_silent": sum(len(d.meters) for d in now.devices if d.state not in _NOT_SILENT),
            "meters_counter_missing": _meters_in(now, DeviceState.COUNTER_MISSING),
            "meters_unconfirmed": _meters_in(now, DeviceState.UNCONFIRMED),
        }

    def set_bus(self, bus: str, state: BusState, detail: str = "") -> bool:
        """Note a line's state; tells whether it is another than before."""
        before = self._buses[bus]
        failures = before.failures + (state is BusState.DOWN)
        self._buses[bus] = replace(before, state=state, detail=detail, failures=failures)
        return state is not before.state

    def add_busy(self, bus: str, seconds: float) -> None:
        """Note how long a line was in use."""
        now_s, before = self._now_s(), self._buses[bus]
        after = replace(before, busy_s=before.busy_s + seconds, window_busy_s=before.window_busy_s + seconds)
        elapsed_s = now_s - after.window_at_s
        if elapsed_s >= _WINDOW_S:
            share = min(1.0, after.window_busy_s / elapsed_s)
            after = replace(after, busy_share=share, window_at_s=now_s, window_busy_s=0.0)
        self._buses[bus] = after

    def set_device(self, bus: str, address: DeviceAddress, state: DeviceState, detail: str = "") -> bool:
        """Note a device's state; tells whether it is another than before."""
        before = self._devices[bus, address]
        good_at_s = self._now_s() if state in GIVING_ROWS else before.maybe_good_at_s
        self._devices[bus, address] = replace(before, state=state, detail=detail, maybe_good_at_s=good_at_s)
        return state is not before.state

    def state(self, bus: str, address: DeviceAddress) -> DeviceState:
        """Return a device's state."""
        return self._devices[bus, address].state

    def set_missing(self, bus: str, address: DeviceAddress, missing: tuple[Missing, ...]) -> None:
        """Note what a device does not give at present."""
        self._devices[bus, address] = replace(self._devices[bus, address], missing=missing)

    def count(self, bus: str, address: DeviceAddress, counts: Counts) -> None:
        """Add to a device's totals; an address that is none of ours is left out."""
        before = self._devices.get((bus, address))
        if before is not None:
            self._devices[bus, address] = replace(before, counts=before.counts.plus(counts))


def _meters_in(now: HealthSnapshot, state: DeviceState) -> int:
    return sum(len(device.meters) for device in now.devices if device.state is state)
