"""Errors of ingest: whose fault, and will the same try ever work?

IngestError
├── StoreError                       InfluxDB did not do what it was asked: see `ingest.store.errors`
├── JournalError          transient  the disk under the journal refuses; nothing may be acknowledged
├── JournalLocked         permanent  another process writes under this instance name
├── QuarantineError       transient  the disk under the quarantine refuses
└── ClockDoubted          transient  the clock of this machine is in doubt

`transient`: whether the same try may work later without anybody changing the request.
"""

from pathlib import Path


class IngestError(Exception):
    """Root of ingest's errors."""

    transient: bool = False


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
    """The clock of this machine is in doubt, so no time can be compared with it."""

    transient = True
