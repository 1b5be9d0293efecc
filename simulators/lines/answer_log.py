"""The log of every answer that a simulated line gave, one JSON object a line: losses are counted against it.

Each entry is written before the answer is sent, so whatever a gateway has read is in the log.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import orjson

from simulators.meters.image import Request
from simulators.meters.meter import COUNTERS, Values


class AnswerLog:
    """Appends to a file; without a path nothing is written. Use it as `with`."""

    def __init__(self, path: Path | None) -> None:
        self._maybe_file: IO[bytes] | None = None if path is None else path.open("ab", buffering=0)

    def write(
        self, time_ms: int, line: str, request: Request, *, outcome: str, values: Mapping[str, Values]
    ) -> None:
        """Write an answer, with the counters that it shows per meter."""
        if self._maybe_file is None:
            return
        entry = {
            "time_ms": time_ms,
            "line": line,
            "unit": request.unit,
            "function": request.function,
            "address": request.address,
            "count": request.count,
            "outcome": outcome,
            "counters": {
                meter: {name: value for name, value in shown.items() if name in COUNTERS}
                for meter, shown in values.items()
            },
        }
        self._maybe_file.write(orjson.dumps(entry) + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        if self._maybe_file is not None:
            self._maybe_file.close()
