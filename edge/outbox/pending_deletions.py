"""Messages that are acknowledged and not yet deleted from the disk; they are deleted together. Pure."""

from collections.abc import Collection, Iterable

from metering.messages.data import MessageId

# Until it is deleted, an acknowledged message is sent once more after a kill: no harm, some bytes.
_DELETE_EVERY_S = 5.0
_DELETE_COUNT = 1000
# Bounds the memory while the disk refuses deletions.
_MAX_MESSAGES = 20_000


class PendingDeletions:
    """Messages and epochs to delete; `now_s` is the caller's monotonic clock."""

    def __init__(self, *, now_s: float) -> None:
        self._messages: dict[MessageId, None] = {}
        self._epochs: list[str] = []
        self._deleted_at_s = now_s

    def __bool__(self) -> bool:
        return bool(self._messages)

    @property
    def messages(self) -> Collection[MessageId]:
        """Messages to delete."""
        return self._messages.keys()

    @property
    def epochs(self) -> tuple[str, ...]:
        """Epochs whose records to delete; no reason to write on their own."""
        return tuple(self._epochs)

    @property
    def are_too_many(self) -> bool:
        """Whether nothing more should be sent from the disk before some are deleted."""
        return len(self._messages) >= _MAX_MESSAGES

    def is_due(self, *, now_s: float) -> bool:
        """Tell whether it is time to delete."""
        is_time = now_s - self._deleted_at_s >= _DELETE_EVERY_S or len(self._messages) >= _DELETE_COUNT
        return bool(self._messages) and is_time

    def add(self, message: MessageId) -> None:
        """Add an acknowledged message."""
        self._messages[message] = None

    def add_epoch(self, epoch: str) -> None:
        """Add an epoch of which nothing is held or unreported."""
        self._epochs.append(epoch)

    def remove(self, message: MessageId) -> bool:
        """Remove a message that was deleted for another reason; False when it was not pending."""
        was_pending = message in self._messages
        self._messages.pop(message, None)
        return was_pending

    def deleted(self, messages: Iterable[MessageId], epochs: Collection[str], *, now_s: float) -> None:
        """Remove what a batch has deleted."""
        for message in messages:
            self._messages.pop(message, None)
        self._epochs = [epoch for epoch in self._epochs if epoch not in epochs]
        self._deleted_at_s = now_s

    def clear(self) -> None:
        """Remove everything, because the file was replaced."""
        self._messages.clear()
        self._epochs.clear()
