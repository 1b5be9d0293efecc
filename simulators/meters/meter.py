"""A simulated meter: what flows, as the quantities that it measures. Pure.

Values are primary and in base units, as the gateway should decode them. Voltages, currents, power factor and
the like follow from the power; only power, flow and counters come from a load. Two things can be ordered: a
counter reset, and the mode in which every answer raises the counters by one step, for tests of losses.
"""

from collections.abc import Mapping
from math import pi, sin
from typing import Protocol

from edge.drivers.wiring import Wiring
from metering.quantities import VOCABULARY, Medium
from simulators.loads.course import Flow
from simulators.loads.shapes import rng_for

#: Shares of a three-phase load.
_PHASES = (0.36, 0.33, 0.31)
_GRID_V = 230.0
# A voltage transformer's secondary side has 100 V between phases.
_SECONDARY_V = 100.0 / 3**0.5
_DAY_MS = 86_400_000
#: Wh or L that an answer adds in the counting mode.
COUNTING_STEP = 1000
COUNTERS = frozenset(quantity.name for quantity in VOCABULARY.values() if quantity.is_counter)

#: Quantities of single phases.
PHASE_QUANTITIES = frozenset(
    f"{what}_l{phase}_{unit}"
    for phase in (1, 2, 3)
    for what, unit in (("voltage", "v"), ("active_power", "w"), ("current", "a"))
)

Values = Mapping[str, float]


class FlowOverTime(Protocol):
    """A load: see `simulators.loads.flows.Load`."""

    def at(self, instant_ms: int) -> Flow:
        """Return the flow at an instant."""


class SimulatedMeter:
    """One measuring point."""

    def __init__(
        self,
        name: str,
        load: FlowOverTime,
        *,
        medium: Medium,
        phases: int,
        wiring: Wiring,
        counting: bool = False,
    ) -> None:
        self.name = name
        self.wiring = wiring
        self._load = load
        self._medium = medium
        self._phases = phases
        self._maybe_answers = 0 if counting else None
        self._zero: Values = {}
        self._last = (-1, Flow(0.0, 0.0, 0.0))
        rng = rng_for(f"{name} character")
        self._tangent = float(rng.uniform(0.15, 0.5))
        self._phase = float(rng.uniform(0, 2 * pi))

    def values(self, instant_ms: int, *, in_detail: bool = True) -> Values:
        """Return every quantity at an instant; those of the phases only in detail."""
        flow = self._flow(instant_ms)
        made = self._electricity(flow, instant_ms) if self._medium is Medium.ELECTRICITY else _water(flow)
        if in_detail and self._medium is Medium.ELECTRICITY:
            made |= self._by_phase(made, instant_ms)
        if self._maybe_answers is not None:
            return {**made, **dict.fromkeys(COUNTERS & made.keys(), self._maybe_answers * COUNTING_STEP)}
        return {**made, **{name: made[name] - zero for name, zero in self._zero.items()}}

    def reset(self, instant_ms: int) -> None:
        """Begin to count from zero, as a meter does that was replaced or lost its memory."""
        self._zero = {}
        made = self.values(instant_ms)
        self._zero = {name: made[name] for name in COUNTERS & made.keys()}

    def note_answer(self) -> None:
        """Count an answer that shows counters; called before it is sent."""
        if self._maybe_answers is not None:
            self._maybe_answers += 1

    def _flow(self, instant_ms: int) -> Flow:
        # A poll's blocks ask for one instant several times.
        if self._last[0] != instant_ms:
            self._last = (instant_ms, self._load.at(instant_ms))
        return self._last[1]

    def _electricity(self, flow: Flow, instant_ms: int) -> dict[str, float]:
        power, reactive = flow.rate, abs(flow.rate) * self._tangent
        apparent = (power * power + reactive * reactive) ** 0.5
        cosine = 1 / (1 + self._tangent**2) ** 0.5
        return {
            "active_power_w": power,
            "reactive_power_var": reactive,
            "apparent_power_va": apparent,
            "power_factor": cosine,
            "frequency_hz": 50 + 0.02 * sin(2 * pi * instant_ms / 97_000),
            "energy_import_wh": flow.imported,
            "energy_export_wh": flow.exported,
            "reactive_energy_import_varh": (flow.imported + flow.exported) * self._tangent,
            "reactive_energy_export_varh": 0.0,
        }

    def _by_phase(self, totals: Values, instant_ms: int) -> dict[str, float]:
        values: dict[str, float] = {}
        shares = _PHASES if self._phases > 1 else (1.0,)
        for number, share in enumerate(shares, 1):
            voltage = self._voltage(instant_ms, number)
            values[f"voltage_l{number}_v"] = voltage
            values[f"active_power_l{number}_w"] = totals["active_power_w"] * share
            values[f"current_l{number}_a"] = totals["apparent_power_va"] * share / voltage
        return values

    def _voltage(self, instant_ms: int, phase: int) -> float:
        nominal = _GRID_V if self.wiring.vt == 1 else _SECONDARY_V * float(self.wiring.vt)
        slow = sin(2 * pi * instant_ms / _DAY_MS + self._phase)
        quick = sin(2 * pi * instant_ms / 61_000 + self._phase + phase)
        return nominal * (1 + 0.008 * slow + 0.002 * quick + 0.001 * phase)


def _water(flow: Flow) -> dict[str, float]:
    return {
        "flow_m3h": flow.rate,
        "volume_l": flow.imported * 1000,
        "volume_reverse_l": flow.exported * 1000,
        "temperature_c": 12.0,
    }
