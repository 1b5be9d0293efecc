"""The clocks of the machine that runs the tests."""

from edge.batching.system_clock import SystemClock


def test_this_machine_has_clocks() -> None:
    clock = SystemClock()
    first, second = clock.observe(), clock.observe()
    assert first.monotonic_ns <= second.monotonic_ns
    assert clock.boot_id()
