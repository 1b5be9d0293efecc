"""Faults begin, end and find their targets."""

from simulators.meters.faults import FaultKind, Faults


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Return its time."""
        return self.now_s


def test_a_fault_lasts_as_long_as_ordered() -> None:
    clock = Clock()
    faults = Faults(monotonic_s=clock)
    faults.order("m1", FaultKind.SILENCE, for_s=30)
    assert faults.maybe(FaultKind.SILENCE, "m2", "m1") is not None
    clock.now_s += 30
    assert faults.maybe(FaultKind.SILENCE, "m1") is None


def test_a_fault_is_of_its_kind_and_target_only() -> None:
    faults = Faults(monotonic_s=Clock())
    faults.order("m1", FaultKind.LATE, for_s=30)
    assert faults.maybe(FaultKind.SILENCE, "m1") is None
    assert faults.maybe(FaultKind.LATE, "m2") is None
    late = faults.maybe(FaultKind.LATE, "m1")
    assert late is not None
    assert late.value == 2.0


def test_cleared_faults_are_gone() -> None:
    faults = Faults(monotonic_s=Clock())
    faults.order("m1", FaultKind.EXCEPTION, for_s=30, value=2)
    faults.clear()
    assert faults.maybe(FaultKind.EXCEPTION, "m1") is None
