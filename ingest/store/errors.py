"""Errors of InfluxDB: will the same try ever work?

StoreError                       InfluxDB did not do what it was asked
├── StoreUnavailable  transient  the way to it, or its load: network, 429, 5xx
├── StoreTooLarge     permanent  our body is above its limit (413): split it
├── StoreRefused      permanent  at least one line, or the query, is wrong (400, 422): bisect
└── StoreDenied       permanent  set-up: no such database, no rights (401, 403, 404): pause the park
"""

from ingest.errors import IngestError


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
        retry_after_s: Seconds that the server asked us to wait; `None` when it did not.
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
    """The server refuses the body or query for good: 1.x has written the other lines, 2.x perhaps none."""


class StoreDenied(StoreError):
    """No such database, or no right to it: a person must act, other parks go on."""
