"""SIGTERM and SIGINT from a program's first line on: recorded until the program can stop in order.

A service spends its first second importing modules. A stop signal in that time is recorded and handled as
soon as the service can stop in order, with the exit code of a clean stop. Commands that do one thing are
interrupted as usual: they call `restore`.

Before the first line no code of ours runs. The parent process may block the signals for that moment
(a signal mask survives an exec); `note` unblocks them. This module imports nothing that takes time.
"""

import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# A process has one set of signal handlers, so this state belongs to the process, too.
_noted: list[int] = []
_handlers_before: dict[int, Any] = {}


def note() -> None:
    """Record stop signals instead of ending by them, also those that were blocked until now."""
    for number in STOP_SIGNALS:
        _handlers_before.setdefault(number, signal.getsignal(number))
        signal.signal(number, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _note(number: int, _frame: FrameType | None) -> None:
    _noted.append(number)


def raise_noted() -> None:
    """Interrupt a program without an event loop when a stop signal was recorded.

    Raises:
        KeyboardInterrupt: when a stop signal has come since `note`.
    """
    if _noted:
        raise KeyboardInterrupt


def restore() -> None:
    """Let stop signals end the process again, as before `note`; one that was recorded ends it now."""
    while _handlers_before:
        signal.signal(*_handlers_before.popitem())
    if _noted:
        os.kill(os.getpid(), _noted.pop())


def call_on_stop(loop: "asyncio.AbstractEventLoop", stop: "Callable[[], object]") -> None:
    """Call a function in the loop at each stop signal; at once for one that was recorded before."""
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    if _noted:
        loop.call_soon(stop)


def block() -> None:
    """Block stop signals: for a child between fork and exec whose program calls `note`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
