"""STAND-IN for an InfluxDB or a process that fails: passes everything on to a store, but for what is to fail.

What a person sees of an InfluxDB that is away, full or stopped is that a request fails, before or after its effect:
`StoreUnavailable`. `Killed` ends the process in the same place; it is no `Exception`, so nothing may catch it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ingest.store.contract import Series, Store
from ingest.store.errors import StoreUnavailable


class Killed(BaseException):
    """The process was killed."""


#: Told of each request: its kind (`write`, `delete`, `query`) and what it is about. Return an error to raise, or
#: `None`.
Fault = Callable[[str, str], BaseException | None]


def no_fault(_kind: str, _subject: str) -> None:
    """Let everything pass."""


def fails(kind: str, subject: str, *, skipped: int = 0) -> Fault:
    """Let one request of a kind and subject fail, after so many that pass."""
    seen = [0]

    def fault(one_kind: str, one_subject: str) -> BaseException | None:
        if (one_kind, one_subject) != (kind, subject):
            return None
        seen[0] += 1
        return StoreUnavailable("as the test wants it") if seen[0] == skipped + 1 else None

    return fault


def killing(fault: Fault) -> Fault:
    """Let the process be killed where a request would fail."""

    def kill(kind: str, subject: str) -> BaseException | None:
        return None if fault(kind, subject) is None else Killed()

    return kill


class FailingStore:
    """A `Store`; `before` and `after` say what fails, before or after its effect."""

    def __init__(self, store: Store, *, before: Fault = no_fault, after: Fault = no_fault) -> None:
        self._store = store
        self.before = before
        self.after = after

    def set(self, fault: Fault, *, is_after: bool) -> None:
        """Let requests fail from now on."""
        self.before, self.after = (no_fault, fault) if is_after else (fault, no_fault)

    def write(self, database: str, lines: bytes) -> None:
        """Write, or fail; the subject is the first measurement of the body."""
        subject = lines[: lines.index(b",")].decode()
        self._raise(self.before("write", subject))
        self._store.write(database, lines)
        self._raise(self.after("write", subject))

    def query(self, database: str, influxql: str, params: Mapping[str, Any] | None = None) -> list[Series]:
        """Ask, or fail; the subject is the query."""
        self._raise(self.before("query", influxql))
        return self._store.query(database, influxql, params)

    def delete(
        self, database: str, measurement: str, *, tags: Mapping[str, str], start_ms: int, stop_ms: int
    ) -> None:
        """Delete, or fail; the subject is the measurement."""
        self._raise(self.before("delete", measurement))
        self._store.delete(database, measurement, tags=tags, start_ms=start_ms, stop_ms=stop_ms)
        self._raise(self.after("delete", measurement))

    def ensure(self, database: str) -> bool:
        """Create a database."""
        return self._store.ensure(database)

    def exists(self, database: str) -> bool:
        """Tell whether there is one."""
        return self._store.exists(database)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    @staticmethod
    def _raise(maybe_error: BaseException | None) -> None:
        if maybe_error is not None:
            raise maybe_error
