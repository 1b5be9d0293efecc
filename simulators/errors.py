"""Errors of the simulators.

SimulatorError
├── ServerError        a private server cannot be started (`simulators.demo.servers`)
├── OrderRefused       a fault was ordered that the park does not have; change the order
├── ParkGone           no simulated park answers at the socket
├── DeliveryFailed     not everything was acknowledged in the time allowed
├── DemoIsRunning      another demo runs in this clone
└── DemoFailed         a program of the demo has ended early, or a step took too long
"""


class SimulatorError(Exception):
    """Root of the errors raised by `simulators`."""


class ServerError(SimulatorError):
    """A private server cannot be started; the message has the end of its log."""


class OrderRefused(SimulatorError):
    """A fault for a target or of a kind that the park does not have; the message lists what it has."""


class ParkGone(SimulatorError):
    """No simulated park answers at the socket."""


class DeliveryFailed(SimulatorError):
    """Not everything was acknowledged in the time allowed; the message has the accounts."""


class DemoIsRunning(SimulatorError):
    """Another demo runs in this clone."""


class DemoFailed(SimulatorError):
    """The demo cannot continue; the message names the program and has the end of its log."""


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one error to show of an exception group: one of ours, where there is one."""
    found: BaseException = group.subgroup(SimulatorError) or group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
