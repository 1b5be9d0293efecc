"""What InfluxDB's answers mean. Pure.

The three flavours word their errors differently: 1.x `{"error": text}` (also inside a 200 answer to a query),
2.x `{"code": text, "message": text}`, 3 plain text or `{"error": text, "data": [...]}`. What counts is the
status; the text goes to a person.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from ingest.store.contract import Series
from ingest.store.errors import StoreDenied, StoreError, StoreRefused, StoreTooLarge, StoreUnavailable

_TOO_LARGE = 413
_REFUSED = (400, 422)
_BUSY = (408, 425, 429)
_FIRST_SERVER_ERROR = 500
_NOT_FOUND = 404
_MAX_TEXT = 500

#: Errors inside a 200 answer that are not about the query.
_TRANSIENT_WORDS = ("timeout", "interrupted", "engine is closed", "shutdown", "shutting down")


def to_error(status: int, body: bytes, *, retry_after: str | None = None) -> StoreError:
    """Return the error that an answer other than success stands for.

    Args:
        status: HTTP status.
        body: As received.
        retry_after: The header of that name.
    """
    text = _error_text(body)
    if status == _TOO_LARGE:
        return StoreTooLarge(text, status=status)
    if status in _REFUSED:
        return StoreRefused(text, status=status)
    if status in _BUSY or status >= _FIRST_SERVER_ERROR:
        return StoreUnavailable(text, status=status, retry_after_s=_maybe_seconds(retry_after))
    # Redirects, proxies and whatever else is no InfluxDB: never a reason to drop a row.
    return StoreDenied(text, status=status)


def _maybe_seconds(retry_after: str | None) -> float | None:
    """Read Retry-After in its seconds form; InfluxDB does not send the date form (RFC 9110, 10.2.3)."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None


def _error_text(body: bytes) -> str:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace").strip()[:_MAX_TEXT] or "no explanation"
    if not isinstance(parsed, dict):
        return str(parsed)[:_MAX_TEXT]
    text = parsed.get("message") or parsed.get("error") or parsed
    details = f": {parsed['data']}" if parsed.get("data") else ""
    return f"{text}{details}"[:_MAX_TEXT]


def to_series(body: bytes) -> list[Series]:
    """Read the answer to a query: JSON objects, one a line, as `chunked=true` gives them.

    A series of more than 10,000 rows comes in parts, all but the last `partial`. (Unless chunked, 1.6.7 calls
    every such series partial, so a cut could not be recognised.)

    Raises:
        StoreError: for an error inside the answer, or an answer that ends early.
    """
    found: list[Series] = []
    goes_on, rows = False, list[Any]()
    for part in _parts(body):
        if goes_on:
            rows.extend(part.get("values", ()))
        else:
            rows = part.get("values", [])
            found.append(_series(part, rows))
        goes_on = bool(part.get("partial"))
    if goes_on:
        raise StoreUnavailable("answer ends early")
    return found


def _parts(body: bytes) -> Iterator[Mapping[str, Any]]:
    for line in body.split(b"\n"):
        if line.strip():
            yield from _parts_of_line(line)


def _parts_of_line(line: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise StoreUnavailable(f"answer is not JSON: {error}") from error
    if isinstance(parsed, dict) and "error" in parsed:
        raise _inner_error(str(parsed["error"]))
    if not isinstance(parsed, dict) or not isinstance(parsed.get("results"), list):
        raise StoreDenied(f"answer is not InfluxDB's: {_error_text(line)}")
    for result in parsed["results"]:
        if "error" in result:
            raise _inner_error(str(result["error"]))
        yield from result.get("series", ())


def _series(part: Mapping[str, Any], rows: list[Any]) -> Series:
    return Series(
        name=part.get("name", ""),
        tags=part.get("tags", {}),
        columns=tuple(part["columns"]),
        rows=rows,
    )


def _inner_error(text: str) -> StoreError:
    """Sort an error that came with status 200 (1.6.7 does so for an unknown database)."""
    lower = text.lower()
    if "database not found" in lower:
        return StoreDenied(text, status=_NOT_FOUND)
    if any(word in lower for word in _TRANSIENT_WORDS):
        return StoreUnavailable(text)
    return StoreRefused(text)
