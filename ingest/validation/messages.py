"""Validates messages: what to write, what to set aside, what to acknowledge. Pure.

Contract:
- Every message gets a `ValidationResult`, whatever its bytes; rows stored + rows refused = rows received.
- A message as a whole is refused with a reason of `metering.messages.data.REASONS` or one of those below; a
  row with a `RowReason`.
- A record is validated by its own receipt time, not by the clock. To validate it again later, pass it with
  the time of then in place of the receipt (`ingest.pipeline.replay`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ingest.journal.segments import Record
from ingest.validation.announcements import encode_announcement
from ingest.validation.registry import Registry
from ingest.validation.rows import MAX_AHEAD_MS, RefusedRow, RowReason, StoredRow, ValidatedRows, Vocabulary
from metering.errors import MalformedMessage
from metering.messages import birth
from metering.messages import data as message
from metering.messages.data import MAX_ROWS, Envelope, MessageId
from metering.messages.topics import GatewayTopic, maybe_parse
from metering.park.model import Park
from metering.readings import EARLIEST_MS, ReadingFlag

#: Reasons of whole messages besides `metering.messages.data.REASONS`.
ID_MISMATCH = "id_mismatch"
UNEXPECTED = "unexpected_error"
WRONG_TOPIC = "wrong_topic"
ABSURD_TIME = str(RowReason.ABSURD_TIME)


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What becomes of one message.

    Attributes:
        gateway: By the topic, which the broker guards.
        maybe_id: What to acknowledge; `None` for births and for messages without readable ids.
        rows: Rows received. Of a message that cannot be decoded, as in its user properties, else 0.
        stored: Rows to write.
        refused: Rows to set aside.
        bad_values: Values that were nulled, by their quality bit.
        points: Lines to write that are no rows: those of `meters`.
        maybe_reason: Why the message as a whole is set aside.
        detail: The same for a person.
    """

    gateway: str
    maybe_id: MessageId | None = None
    rows: int = 0
    stored: Sequence[StoredRow] = ()
    refused: Sequence[RefusedRow] = ()
    bad_values: Mapping[ReadingFlag, int] = field(default_factory=dict)
    points: tuple[bytes, ...] = ()
    maybe_reason: str | None = None
    detail: str = ""

    @property
    def is_set_aside(self) -> bool:
        """Whether the message as a whole, or some of its rows, go to the quarantine."""
        return self.maybe_reason is not None or bool(self.refused)


class MessageValidator:
    """Validates the messages of one park; used by one thread at a time."""

    def __init__(self, park: Park, registry: Registry) -> None:
        self._park = park.id
        self._registry = registry
        self._vocabulary = Vocabulary(park.id, park.quantities)

    def change_park(self, park: Park) -> None:
        """Use another edition of the park's description; not while a record is validated."""
        self._registry.change_park(park)
        self._vocabulary = Vocabulary(park.id, park.quantities)

    def validate(self, record: Record) -> ValidationResult:
        """Validate a data message or a birth."""
        maybe_topic = maybe_parse(record.topic)
        if not isinstance(maybe_topic, GatewayTopic):
            return refuse(record, WRONG_TOPIC, record.topic)
        try:
            if maybe_topic.kind == "birth":
                return self._validate_birth(record, maybe_topic.gateway)
            return self._validate_data(record, maybe_topic.gateway)
        except MalformedMessage as error:
            return refuse(record, error.reason, str(error))

    def _validate_data(self, record: Record, gateway: str) -> ValidationResult:
        envelope = message.decode(record.body)
        if envelope.gateway != gateway:
            raise MalformedMessage("gateway_mismatch", f"the body says {envelope.gateway!r}")
        maybe_tag = message.maybe_tag(record.properties)
        if maybe_tag is not None and maybe_tag.id != envelope.id:
            raise MalformedMessage(ID_MISMATCH, f"the body says {envelope.id}")
        if envelope.row_count > MAX_ROWS:
            # No gateway of ours builds it, and a deflated megabyte of empty rows would fill the memory.
            raise MalformedMessage("too_large", f"{envelope.row_count} rows")
        validated = self._validate_blocks(envelope, record.received_at_ms)
        return ValidationResult(
            gateway=gateway,
            maybe_id=envelope.id,
            rows=envelope.row_count,
            stored=validated.stored,
            refused=validated.refused,
            bad_values=validated.bad_values,
        )

    def _validate_blocks(self, envelope: Envelope, now_ms: int) -> ValidatedRows:
        validated = ValidatedRows()
        first = 0
        for block in envelope.blocks:
            if not block.rows:
                continue  # its columns are not worth preparing
            maybe_columns = self._vocabulary.maybe_columns(block.medium, block.quantities)
            admit = partial(self._registry.maybe_refusal, envelope.gateway, medium=block.medium)
            if maybe_columns is None:
                unknown = RowReason.UNKNOWN_MEDIUM
                validated.refused.extend(RefusedRow(first + row, unknown) for row in range(len(block.rows)))
            else:
                maybe_columns.validate(block.rows, first, admit, now_ms, validated)
            first += len(block.rows)
        return validated

    def _validate_birth(self, record: Record, gateway: str) -> ValidationResult:
        born = birth.decode(record.body)
        if born.gateway != gateway:
            raise MalformedMessage("gateway_mismatch", f"the body says {born.gateway!r}")
        if not EARLIEST_MS <= born.time_ms <= record.received_at_ms + MAX_AHEAD_MS:
            raise MalformedMessage(ABSURD_TIME, f"birth of {born.time_ms} ms")
        changes = self._registry.announce(born, record.received_at_ms)
        return ValidationResult(
            gateway, points=tuple(encode_announcement(self._park, one) for one in changes)
        )


def refuse(record: Record, reason: str, detail: str) -> ValidationResult:
    """Return the result that sets a message aside as a whole."""
    parsed = maybe_parse(record.topic)
    maybe_topic = parsed if isinstance(parsed, GatewayTopic) else None
    # Births are not acknowledged, whatever stands beside them.
    is_birth = maybe_topic is not None and maybe_topic.kind == "birth"
    maybe_tag = None if is_birth else message.maybe_tag(record.properties)
    return ValidationResult(
        gateway="" if maybe_topic is None else maybe_topic.gateway,
        maybe_id=None if maybe_tag is None else maybe_tag.id,
        rows=0 if maybe_tag is None else maybe_tag.rows,
        maybe_reason=reason,
        detail=detail,
    )
