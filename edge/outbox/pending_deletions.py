"""What is done with but still stands on the disk: deleted together, now and then. Pure."""

from collections.abc import Collection, Iterable

from metering.messages.data import MessageId

# Until it is deleted, a message that is safe would be sent once more after a kill: no harm, some bytes.
_FLUSH_EVERY_S = 5.0
_FLUSH_COUNT = 1000
# A disk that refuses deletions must not make the list of them grow without end.
_MOST = 20_000


class Leftovers:
    """Messages and epochs to delete; `now_s` is the caller's monotonic clock."""

    def __init__(self, *, now_s: float) -> None:
        self._messages: dict[MessageId, None] = {}
        self._epochs: list[str] = []
        self._flushed_at_s = now_s

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
        return len(self._messages) >= _MOST

    def is_due(self, *, now_s: float) -> bool:
        """Tell whether it is time to delete."""
        is_time = now_s - self._flushed_at_s >= _FLUSH_EVERY_S or len(self._messages) >= _FLUSH_COUNT
        return bool(self._messages) and is_time

    def add(self, message: MessageId) -> None:
        """Note a message that is done with."""
        self._messages[message] = None

    def add_epoch(self, epoch: str) -> None:
        """Note an epoch that is done with."""
        self._epochs.append(epoch)

    def gone(self, message: MessageId) -> bool:
        """Note that a message was deleted some other way; False when it was not to be."""
        was_to_be = message in self._messages
        self._messages.pop(message, None)
        return was_to_be

    def flushed(self, messages: Iterable[MessageId], epochs: Collection[str], *, now_s: float) -> None:
        """Note what was deleted."""
        for message in messages:
            self._messages.pop(message, None)
        self._epochs = [epoch for epoch in self._epochs if epoch not in epochs]
        self._flushed_at_s = now_s

    def clear(self) -> None:
        """Note that the file is gone."""
        self._messages.clear()
        self._epochs.clear()
