"""An entry of the outbox: one message in the form in which it travels, now and at every resend.

The form is fixed when the entry is made: JSON as it is, or deflated where that is worth it. The same bytes go
to memory, to the disk and, however often, to the wire; so the journal of ingest and its check for duplicates
never see two bodies under one (epoch, seq).
"""

from dataclasses import dataclass

from edge.errors import MessageTooLarge
from metering.messages.data import MAX_WIRE_BYTES, Message, MessageId, Tag, deflate, encode, is_deflated

#: Bodies above this are deflated: below, the gain is not worth losing readable JSON on the wire.
DEFLATE_ABOVE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A message, encoded once.

    Attributes:
        id: Epoch and sequence number.
        rows: Rows in the body: what the accounts count.
        body: Bytes for the wire.
    """

    id: MessageId
    rows: int
    body: bytes

    @property
    def tag(self) -> Tag:
        """What travels beside the body as user properties."""
        return Tag(id=self.id, rows=self.rows)

    @property
    def is_deflated(self) -> bool:
        """Whether the body is a zlib stream."""
        return is_deflated(self.body)


def seal(message: Message, *, deflate_above_bytes: int = DEFLATE_ABOVE_BYTES) -> Entry:
    """Encode a message into the form in which it travels.

    Raises:
        MessageTooLarge: when the body is above `metering.messages.data.MAX_WIRE_BYTES`.
    """
    try:
        body = encode(message)
    except ValueError as error:
        raise MessageTooLarge(str(error)) from error
    if len(body) > deflate_above_bytes:
        body = deflate(body)
    if len(body) > MAX_WIRE_BYTES:
        raise MessageTooLarge(f"message {message.id.seq} has {len(body)} bytes on the wire")
    return Entry(id=message.id, rows=message.row_count, body=body)
