"""Errors of ingest: whose fault, and will the same try ever work?

IngestError
├── StoreError                       InfluxDB did not do what it was asked
│   ├── StoreUnavailable  transient  the way to it, or its load: network, 429, 5xx
│   ├── StoreTooLarge     permanent  our body is above its limit (413): split it
│   ├── StoreRefused      permanent  at least one line, or the query, is wrong (400, 422): bisect
│   └── StoreDenied       permanent  set-up: no such database, no rights (401, 403, 404): pause the park
├── JournalError          transient  the disk under the journal refuses; nothing may be acknowledged
├── JournalLocked         permanent  another process writes under this instance name
├── QuarantineError       transient  the disk under the quarantine refuses
└── ClockDoubted          transient  the clock of this machine cannot be believed

`transient`: whether the same try may work later without anybody changing the request.
"""

from pathlib import Path


class IngestError(Exception):
    """Root of ingest's errors."""

    transient: bool = False


class StoreError(IngestError):
    """InfluxDB did not do what it was asked.

    Attributes:
        status: HTTP status; `None` when there was no answer. An error inside a 200 answer to a query gets
            the status that it means.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message if status is None else f"{message} (HTTP {status})")
        self.status = status


class StoreUnavailable(StoreError):
    """Nobody answered, or the answer was "not now".

    Attributes:
        retry_after_s: Seconds that the server asked us to wait; `None` when it did not say.
    """

    transient = True

    def __init__(
        self, message: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.retry_after_s = retry_after_s


class StoreTooLarge(StoreError):
    """The body is above the server's limit; two halves may pass."""


class StoreRefused(StoreError):
    """The server understood and said no: 1.x has written the other lines, 2.x perhaps none."""


class StoreDenied(StoreError):
    """No such database, or no right to it: a person must act, other parks go on."""


class DiskError(IngestError):
    """A disk refuses.

    Attributes:
        path: File or folder.
        size_bytes: Bytes that were to be written.
    """

    transient = True

    def __init__(self, path: Path, size_bytes: int, cause: OSError) -> None:
        super().__init__(f"{path}: {size_bytes} bytes could not be written: {cause.strerror or cause}")
        self.path = path
        self.size_bytes = size_bytes


class JournalError(DiskError):
    """The journal cannot be written, so nothing may be written to InfluxDB or acknowledged."""


class QuarantineError(DiskError):
    """The quarantine cannot be written, so what belongs there must stay unacknowledged."""


class JournalLocked(IngestError):
    """Another process appends to the journal under the same instance name."""


class ClockDoubted(IngestError):
    """The clock of this machine cannot be believed, so nothing can be judged by it."""

    transient = True
