"""STAND-IN for a pulse counter with a serial port: it sends its count by itself, and nothing can be asked of it.

One telegram is `#`, ten digits, `;`, the sum of the digits' characters modulo 256 as two hexadecimal digits, CR
and LF. No product is copied: it is as unlike Modbus as pushed protocols are (P1, SML, data loggers).
"""

import asyncio
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


def telegram(count: int) -> bytes:
    """Return what the counter sends."""
    digits = f"{count:010d}".encode()
    return b"#%s;%02X\r\n" % (digits, sum(digits) % 256)


class PulseCounter:
    """A counter behind a link to a pty, as adapters stand below /dev/serial/by-id.

    Attributes:
        link: Path that leads to the port while it is plugged in.
        count: Pulses so far; each telegram adds one.
        is_quiet: Whether it sends nothing, its port being there.
        spoils: Whether its telegrams have a wrong sum.
    """

    def __init__(self, link: Path, *, every_s: float) -> None:
        self.link = link
        self.count = 0
        self.is_quiet = False
        self.spoils = False
        self._every_s = every_s
        self._maybe_port: tuple[int, int] | None = None

    def plug_in(self) -> None:
        """Let the port appear, under a new device file."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._maybe_port = master, slave
        self.link.symlink_to(os.ttyname(slave))

    def pull_out(self) -> None:
        """Let the port vanish."""
        maybe_port, self._maybe_port = self._maybe_port, None
        if maybe_port is not None:
            self.link.unlink()
            for end in maybe_port:
                os.close(end)

    async def send(self) -> None:
        """Send telegrams until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            if self._maybe_port is not None and not self.is_quiet:
                self.count += 1
                sent = telegram(self.count)
                self._write(self._maybe_port[0], sent.replace(b";", b";X") if self.spoils else sent)

    def _write(self, master: int, data: bytes) -> None:
        try:
            os.write(master, data)
        except BlockingIOError:  # nobody reads: the port's buffer is full, as on a real one
            return


@asynccontextmanager
async def pulse_counter(folder: Path, *, every_s: float = 0.05) -> AsyncIterator[PulseCounter]:
    """Run a counter that is plugged in while the block runs."""
    one = PulseCounter(folder / "pulses", every_s=every_s)
    one.plug_in()
    task = asyncio.create_task(one.send())
    try:
        yield one
    finally:
        task.cancel()
        one.pull_out()
