"""What is missing, and when it is asked for again."""

from itertools import pairwise

import pytest

from edge.drivers.missing import MissingRole, Use
from edge.drivers.modbus.missing import MissingRegisters
from edge.drivers.modbus.profile import Function, Register
from edge.drivers.modbus.registers import Encoding, Layout
from edge.errors import BusError, GatewayNoAnswer, MeterRefused, NoAnswer

USES = {
    Register(Function.HOLDING, address, Layout(Encoding("u16"))): Use(role, role.value)
    for address, role in enumerate(MissingRole)
}
COUNTER, IDENTITY, SERIAL, OTHER = USES


def tries_s(register: Register, error: BusError, *, hours: int) -> list[float]:
    """Return when a register that is never given is asked for, by one who asks as soon as it is due."""
    missing, now_s, found = MissingRegisters(USES), 1000.0, []
    while now_s < 1000.0 + 3600 * hours:
        found.append(now_s)
        missing.lose(register, error, now_s=now_s)
        now_s = missing.all[0].retry_at_s
    return found


@pytest.mark.parametrize(
    ("register", "error", "first_s", "last_s"),
    [
        (COUNTER, MeterRefused(2), 5, 60),
        (OTHER, MeterRefused(2), 5, 300),
        (IDENTITY, MeterRefused(6), 5, 300),
        (COUNTER, NoAnswer("silent"), 60, 300),
        (SERIAL, NoAnswer("silent"), 60, 3600),
        (SERIAL, GatewayNoAnswer(11), 60, 3600),
    ],
)
def test_pauses_double_up_to_their_limit(
    register: Register, error: BusError, first_s: float, last_s: float
) -> None:
    pauses_s = [b - a for a, b in pairwise(tries_s(register, error, hours=8))]

    assert pauses_s[0] == first_s
    assert pauses_s[-1] == last_s
    assert all(b in (2 * a, last_s) for a, b in pairwise(pauses_s))


def test_each_has_its_turn_and_of_those_due_together_a_counter_is_first() -> None:
    missing = MissingRegisters(USES)
    for register in (OTHER, SERIAL, COUNTER, IDENTITY):
        missing.lose(register, MeterRefused(2), now_s=0)

    assert missing.due(now_s=4) == ()
    assert missing.due(now_s=5) == (COUNTER, IDENTITY, SERIAL, OTHER)
    missing.lose(COUNTER, MeterRefused(2), now_s=5)
    assert missing.due(now_s=60)[-1] == COUNTER


def test_what_is_read_with_the_others_is_never_asked_for_alone_and_keeps_its_begin() -> None:
    missing = MissingRegisters(USES)
    missing.postpone(COUNTER, "busy", now_s=10, next_s=20)
    missing.postpone(COUNTER, "busy", now_s=20, next_s=30)

    assert missing.due(now_s=1000) == ()
    assert missing.unplanned == ()
    assert missing.all[0].since_s == 10
    missing.lose(COUNTER, MeterRefused(2), now_s=30)
    assert (missing.all[0].since_s, missing.all[0].retry_at_s) == (10, 35)
    assert missing.unplanned == (COUNTER,)
    missing.find(COUNTER)
    assert not missing


def test_after_a_connect_what_was_refused_is_due_and_what_was_mute_is_not() -> None:
    missing = MissingRegisters(USES)
    missing.lose(COUNTER, MeterRefused(2), now_s=0)
    missing.lose(SERIAL, NoAnswer("silent"), now_s=0)

    missing.expect_change(now_s=1)

    assert missing.due(now_s=1) == (COUNTER,)
    assert not missing.is_due(SERIAL, now_s=1)
    assert missing.is_due(IDENTITY, now_s=1), "it is not missing"
