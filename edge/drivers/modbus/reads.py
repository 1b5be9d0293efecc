"""What is read of a device at each poll: the blocks by poll class, without what is missing. Pure.

Contract:
- A refused block is taken apart until the registers that cause it are found; these are *missing*
  (`edge.drivers.missing`) and in no block of any class until they are answered.
- Taking apart costs requests for good, so a plan that was taken apart is made anew after a growing pause: a
  meter that refused for a moment gets its few large blocks back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge.drivers.missing import MissingRole, Use
from edge.drivers.modbus.missing import MissingRegisters
from edge.drivers.modbus.plan import Block, ReadPlan, cost_of_request
from edge.drivers.modbus.profile import PollClass, Register, as_profile
from edge.drivers.settings import BusConfig, DeviceConfig
from edge.errors import MeterRefused
from metering.program.backoff import growing_s

_FIRST_ANEW_S = 10.0
_MAX_ANEW_S = 3600.0


@dataclass(slots=True)
class _Splits:
    """How often in a row a class's plan was taken apart, and when it is made anew."""

    failures: int = 0
    anew_at_s: float = 0.0


class Reads:
    """The plans of one device, and what is missing from them."""

    def __init__(self, config: DeviceConfig, bus: BusConfig) -> None:
        profile = as_profile(config.profile)
        self._cost = cost_of_request(bus.timing, answer_delay_s=profile.answer_delay_s)
        self._max_registers = profile.max_registers
        self._wanted = _wanted(config)
        self.missing = MissingRegisters(_uses(config))
        self._plans = {kind: self._new_plan(kind) for kind in PollClass}
        self._splits = {kind: _Splits() for kind in PollClass}
        #: The blocks of a meter that gives everything.
        self.whole = self._plans[PollClass.SLOW].blocks

    @property
    def cheapest(self) -> Register:
        """A short register of those read at each poll, to see whether the device is there."""
        return min(self._wanted[PollClass.FAST], key=lambda register: register.count)

    @property
    def unsupported(self) -> tuple[Register, ...]:
        """Registers that are out of the plan."""
        return self.missing.unplanned

    def blocks(self, kind: PollClass) -> tuple[Block, ...]:
        """Return the blocks of a poll class."""
        return self._plans[kind].blocks

    def covered(self, kind: PollClass, block: Block) -> tuple[Register, ...]:
        """Return the registers that are read with a block."""
        return tuple(one for one in self._plans[kind].registers if block.covers(one))

    def plan_anew(self) -> None:
        """Plan all classes from scratch, without what is missing."""
        self._plans = {kind: self._new_plan(kind) for kind in PollClass}

    def begin(self, kind: PollClass, *, now_s: float) -> None:
        """Prepare a poll: a plan that was taken apart is made anew when its pause is over."""
        if self._plans[kind].is_split and now_s >= self._splits[kind].anew_at_s:
            self._plans[kind] = self._new_plan(kind)

    def end(self, kind: PollClass) -> None:
        """Note that a poll is over: a plan that was answered whole was not made anew in vain."""
        if not self._plans[kind].is_split:
            self._splits[kind].failures = 0

    def refuse(
        self, kind: PollClass, block: Block, error: MeterRefused, *, now_s: float
    ) -> tuple[Block, ...]:
        """Note that a block was refused; return the blocks to ask for instead."""
        before = self._plans[kind]
        after = before.refused(block)
        if after.is_split and not before.is_split:
            self._note_split(kind, now_s)
        self._plans[kind] = after
        for register in set(before.registers) - set(after.registers):
            self._lose(kind, register, error, now_s)
        return tuple(one for one in after.blocks if one not in before.blocks)

    def _note_split(self, kind: PollClass, now_s: float) -> None:
        splits = self._splits[kind]
        splits.failures += 1
        pause_s = growing_s(splits.failures, first_s=_FIRST_ANEW_S, max_s=_MAX_ANEW_S, jitter=0.0)
        splits.anew_at_s = now_s + pause_s

    def _lose(self, kind: PollClass, register: Register, error: MeterRefused, now_s: float) -> None:
        self.missing.lose(register, error, now_s=now_s)
        for other, plan in self._plans.items():
            if other is not kind and register in plan.registers:
                self._plans[other] = self._new_plan(other)

    def _new_plan(self, kind: PollClass) -> ReadPlan:
        return ReadPlan.of(
            self._wanted[kind],
            request_cost=self._cost,
            max_registers=self._max_registers,
            avoid=self.missing.unplanned,
        )


def _wanted(config: DeviceConfig) -> Mapping[PollClass, tuple[Register, ...]]:
    specs = [spec for point in config.points for spec in as_profile(config.profile).channel(point.channel)]
    every = tuple(spec.register for spec in specs)
    fast = tuple(spec.register for spec in specs if spec.poll is PollClass.FAST)
    return {PollClass.SLOW: every, PollClass.FAST: fast or every}


def _uses(config: DeviceConfig) -> Mapping[Register, Use]:
    """Return what each register is for; of one that is for several things, a counter counts."""
    found = dict(_optional_uses(config))
    for point in config.points:
        for spec in as_profile(config.profile).channel(point.channel):
            name = config.wiring.named(spec.quantity)
            label = name if len(config.points) == 1 else f"{point.meter} {name}"
            if spec.is_counter or spec.register not in found:
                found[spec.register] = Use(
                    MissingRole.COUNTER if spec.is_counter else MissingRole.OTHER, label
                )
    return found


def _optional_uses(config: DeviceConfig) -> Iterable[tuple[Register, Use]]:
    profile = as_profile(config.profile)
    if profile.identity is not None:
        yield profile.identity.register, Use(MissingRole.IDENTITY, "identity")
    if profile.serial_number is not None:
        yield profile.serial_number, Use(MissingRole.SERIAL, "serial number")
