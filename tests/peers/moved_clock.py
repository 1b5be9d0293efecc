"""A clock that tests move, and a line on it: no time passes but what requests and pauses would take."""

import asyncio
import struct
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from edge.drivers.modbus.plan import Block, block_time_s
from edge.drivers.settings import BusConfig, DeviceAddress
from edge.errors import BusError, LineDown, MeterRefused, NoAnswer


class Ended(Exception):
    """The test's time is over."""


@dataclass
class MovedClock:
    """Both clocks stand still but for `move`; sleeping moves them.

    Attributes:
        now_s: Monotonic.
        ahead_s: Wall clock minus monotonic.
        end_s: When the test is over.
        hold_s: When time stands still until the test sets a later instant.
        is_held: Whether it stands still now.
    """

    now_s: float = 1000.0
    ahead_s: float = 1.8e9
    end_s: float = float("inf")
    hold_s: float = float("inf")
    is_held: bool = False

    def monotonic_ns(self) -> int:
        """Nanoseconds since some instant."""
        return round(self.now_s * 1e9)

    def wall_s(self) -> float:
        """Seconds since 1970."""
        return self.now_s + self.ahead_s

    async def sleep(self, seconds: float) -> None:
        """Move on."""
        until_s = self.now_s + seconds
        while until_s > self.hold_s:
            self.now_s = max(self.now_s, self.hold_s)
            await self.hold()
        self.move(until_s - self.now_s)
        await asyncio.sleep(0)

    async def hold(self) -> None:
        """Stand still while it is time to."""
        while self.now_s >= self.hold_s:
            self.is_held = True
            await asyncio.sleep(0)
        self.is_held = False

    def move(self, seconds: float) -> None:
        """Move on; ends the test at its time."""
        self.now_s += seconds
        if self.now_s > self.end_s:
            raise Ended


@dataclass
class MovedLine:
    """A line whose requests take the time that they would take on a wire.

    Attributes:
        config: Which line.
        clock: What moves.
        mute: Units that say nothing.
        errors: Raised once each, before anything else, by unit.
        refused: Registers that a block must not touch, with the exception code.
        refused_until_s: When the meter gives such a register after all; those not named are refused for ever.
        mute_registers: Registers that a block must not touch before `answered_from_s`, or nothing comes.
        images: What registers hold, by unit and address; 0 elsewhere.
        asked: When which unit was asked for what.
        unreachable: How many times connecting fails.
        is_half_open: The peer has vanished without a word: nobody answers until the line is opened again.
        lost: How many requests of a unit get no answer, though it is there.
        answered_at_s: When a device last answered.
        heard_at_s: When any byte last came.
        was_closed_idle: Whether the peer has closed the connection while nobody was asked.
    """

    config: BusConfig
    clock: MovedClock
    mute: set[int] = field(default_factory=set)
    errors: dict[int, list[BusError]] = field(default_factory=lambda: defaultdict(list))
    refused: dict[int, int] = field(default_factory=dict)
    refused_until_s: dict[int, float] = field(default_factory=dict)
    mute_registers: set[int] = field(default_factory=set)
    answered_from_s: float = float("inf")
    images: dict[tuple[int, int], int] = field(default_factory=dict)
    asked: list[tuple[float, int, Block]] = field(default_factory=list)
    mute_s: float = 0.0
    answers: Counter[int] = field(default_factory=Counter)
    unreachable: int = 0
    connects: int = 0
    is_half_open: bool = False
    lost: Counter[int] = field(default_factory=Counter)
    answered_at_s: float = float("-inf")
    heard_at_s: float = float("-inf")
    was_closed_idle: bool = False

    async def connect(self) -> None:
        """Open the line."""
        self.connects += 1
        self.was_closed_idle = False
        if self.unreachable:
            self.unreachable -= 1
            raise LineDown("cable cut")
        self.is_half_open = False

    def allowed_at_s(self, address: DeviceAddress) -> float:
        """Nobody is, here."""
        del address
        return float("-inf")

    async def read(self, unit: int, block: Block) -> bytes:
        """Take the time, and answer."""
        await self.clock.hold()
        self.asked.append((self.clock.now_s, unit, block))
        await asyncio.sleep(0)
        if self.errors[unit]:
            raise self.errors[unit].pop(0)
        is_in_silence = any(block.address <= one < block.end for one in self.mute_registers)
        if unit in self.mute or (is_in_silence and self.clock.now_s < self.answered_from_s):
            self.mute_s += self.config.timeout_s
            self.clock.move(self.config.timeout_s)
            raise NoAnswer(f"unit {unit}")
        if self.is_half_open or self.lost[unit]:
            self.lost[unit] -= self.lost[unit] > 0
            self.clock.move(self.config.timeout_s)
            raise NoAnswer(f"unit {unit}")
        self.clock.move(block_time_s(block, self.config.timing))
        self.answered_at_s = self.heard_at_s = self.clock.now_s
        for address, code in self.refused.items():
            is_over = self.clock.now_s >= self.refused_until_s.get(address, float("inf"))
            if block.address <= address < block.end and not is_over:
                raise MeterRefused(code)
        self.answers[unit] += 1
        values = (self.images.get((unit, block.address + n), 0) for n in range(block.count))
        return struct.pack(f">{block.count}H", *values)

    @asynccontextmanager
    async def open(self, config: BusConfig, on_late: Callable[[int], None]) -> AsyncIterator["MovedLine"]:
        """Be opened by a poller."""
        del on_late
        assert config is self.config
        yield self
