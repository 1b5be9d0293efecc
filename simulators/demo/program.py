"""A program of ours as a child process: its output goes to a log file, and it ends with its parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from metering.program import stop_signals
from simulators.demo.servers import die_with_parent
from simulators.errors import DemoFailed

_STOP_TIMEOUT_S = 60.0
_TAIL_LINES = 12


class Program:
    """One child process, working in a folder.

    Attributes:
        name: Name shown to the user; also that of the log.
        log: Where its output goes: `logs/` of the folder.
    """

    def __init__(self, name: str, module: str, *arguments: str, folder: Path) -> None:
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs, by the interpreter that runs us
                [sys.executable, "-m", module, *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                preexec_fn=_before_exec,  # noqa: PLW1509 - nothing else is done between fork and exec
                start_new_session=True,  # Ctrl-C is for the demo, which stops its programs in order
            )

    def check(self) -> None:
        """Raise if it has ended.

        Raises:
            DemoFailed: when it has ended, with the end of its log.
        """
        if self._process.poll() is not None:
            raise DemoFailed(
                f"{self.name} has ended early (exit code {self._process.returncode}):\n{tail(self.log)}"
            )

    def finish(self) -> None:
        """Wait until it has ended.

        Raises:
            DemoFailed: when its exit code is not 0.
        """
        if self._process.wait() != 0:
            raise DemoFailed(f"{self.name} failed (exit code {self._process.returncode}):\n{tail(self.log)}")

    def stop(self) -> None:
        """Send the stop signal and wait for the end.

        Raises:
            DemoFailed: when it does not end cleanly.
        """
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DemoFailed(f"{self.name} did not stop within {_STOP_TIMEOUT_S:.0f} s") from None
        if code != 0:
            raise DemoFailed(f"{self.name} did not stop cleanly (exit code {code}):\n{tail(self.log)}")

    def kill(self) -> None:
        """Kill it, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def _before_exec() -> None:
    die_with_parent()
    # Until the program handles stop signals itself, which is the first thing it does.
    stop_signals.block()


def nearby(path: Path) -> str:
    """Return the shorter of the absolute and the relative path."""
    return min(str(path), os.path.relpath(path), key=len)


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """Return the last lines of a log, and where it is."""
    text = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join([*(f"  {line}" for line in text), f"  (all of it: {nearby(log)})"])


def run_to_end(name: str, module: str, *arguments: str, folder: Path) -> None:
    """Run a program that does one thing.

    Raises:
        DemoFailed: when its exit code is not 0.
    """
    Program(name, module, *arguments, folder=folder).finish()
