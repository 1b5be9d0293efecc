"""A simulated RS-485 line on a pty: the link at its path opens as a serial port with devices on it.

A pty passes bytes at once: `simulators.lines.rtu_line` adds the baud rate's. A port that is opened
with another baud rate receives nothing, as on a real line; parity and stop bits cannot be seen from here.
"""

import asyncio
import contextlib
import errno
import os
import select
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from simulators.lines.line import Line
from simulators.lines.rtu_line import RtuLine, RtuTiming

_CHUNK = 4096
_LOOK_S = 0.05
_OUTPUT_SPEED = 5
_SPEEDS = (4, 5)


@asynccontextmanager
async def serial_line(line: Line, link: Path, timing: RtuTiming) -> AsyncIterator[Path]:
    """Serve a line on a new pty while the block runs; yields the link to its port.

    Raises:
        OSError: when there is no pty, or the link cannot be made.
    """
    with _pty(link) as master:
        async with RtuLine(line, timing, _Port(master).write) as wire, asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(_listen(master, wire, timing), name=f"listen on {line.name}")
            yield link
            listening.cancel()


@contextmanager
def _pty(link: Path) -> Iterator[int]:
    """Return the master side of a new pty, whose other side the link leads to."""
    master, slave = os.openpty()
    tty.setraw(slave)
    port = os.ttyname(slave)
    os.close(slave)
    os.set_blocking(master, False)
    link.unlink(missing_ok=True)
    link.symlink_to(port)
    try:
        yield master
    finally:
        link.unlink(missing_ok=True)
        os.close(master)


class _Port:
    def __init__(self, master: int) -> None:
        self._master = master

    def write(self, data: bytes) -> None:
        try:
            os.write(self._master, data)
        except OSError as error:
            # The port is not open, or is not read: on a line such bytes are lost.
            if error.errno not in (errno.EIO, errno.EAGAIN):
                raise


async def _listen(master: int, wire: RtuLine, timing: RtuTiming) -> None:
    speed = getattr(termios, f"B{timing.baud}", None) if timing.baud else None
    while True:
        await _until_opened(master)
        while data := await _maybe_read(master):
            if speed is None or termios.tcgetattr(master)[_OUTPUT_SPEED] == speed:
                wire.receive(data)
        _forget_settings(master)


async def _until_opened(master: int) -> None:
    """Wait until the port is open; a pty must be polled for that."""
    poll = select.poll()
    poll.register(master, select.POLLIN)
    # The kernel has no event for an opened pty.
    while any(events & select.POLLHUP for _, events in poll.poll(0)):  # noqa: ASYNC110 - see above
        await asyncio.sleep(_LOOK_S)


async def _maybe_read(master: int) -> bytes:
    """Return what was written to the port; nothing once it is closed."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(master, readable.set)
    try:
        while True:
            await readable.wait()
            readable.clear()
            # Also woken when the port is opened: then there is nothing to read yet.
            with contextlib.suppress(BlockingIOError):
                return os.read(master, _CHUNK)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""
    finally:
        loop.remove_reader(master)


def _forget_settings(master: int) -> None:
    """Make the next opening set the port up afresh.

    The kernel strips the parity bit on a pty, so the C library reports a second, equal set-up as failed
    (EINVAL) when nothing else changes; another speed is such a change.
    """
    settings = termios.tcgetattr(master)
    for speed in _SPEEDS:
        settings[speed] = termios.B50
    termios.tcsetattr(master, termios.TCSANOW, settings)
