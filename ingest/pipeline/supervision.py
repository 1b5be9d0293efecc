"""Validation that never raises, whatever the bytes (`ingest.receive.supervision`)."""

from ingest.journal.segments import Record
from ingest.receive.supervision import supervised
from ingest.validation.messages import UNEXPECTED, MessageValidator, ValidationResult, refuse


def validate_safely(validator: MessageValidator, record: Record) -> ValidationResult:
    """Validate a record; never raises."""
    return supervised(
        record.topic,
        lambda: validator.validate(record),
        lambda error: refuse(record, UNEXPECTED, f"{type(error).__name__}: {error}"),
    )
