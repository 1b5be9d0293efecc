"""Errors of the shared language.

MeteringError
├── MalformedMessage   bytes that are not a message of ours; permanent: the same bytes never decode
├── ConfigError        a configuration file a person must change; permanent, all problems at once
├── CannotListen       the address for the local pages is taken or does not belong to this machine
└── UnknownName        a name that the vocabulary or the park does not have
"""

from collections.abc import Sequence
from dataclasses import dataclass

_MAX_DETAIL = 240


class MeteringError(Exception):
    """Root of the errors raised by `metering`."""


class MalformedMessage(MeteringError):
    """Bytes received are not a message of ours.

    Attributes:
        reason: One of `metering.messages.data.REASONS`, stable, for counters and the quarantine.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        # Details quote what was received, which may be as long as a message.
        short = detail if len(detail) <= _MAX_DETAIL else f"{detail[:_MAX_DETAIL]}…"
        super().__init__(f"{reason}: {short}" if short else reason)
        self.reason = reason


class CannotListen(MeteringError):
    """The local pages cannot be served at the address that `http` names."""


class UnknownName(MeteringError):
    """A name is not known; the message suggests the nearest ones."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration file.

    Attributes:
        file: Path as the user gave it.
        line: 1-based line, 0 where the whole file is meant.
        column: 1-based column, 0 likewise.
        message: What is wrong and, where it is known, what was probably meant.
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class ConfigError(MeteringError):
    """A configuration cannot be used; `problems` lists everything found, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column, p.message)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
