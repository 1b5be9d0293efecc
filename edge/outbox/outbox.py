"""The outbox: holds messages until ingest acknowledges them. Memory first, disk on need.

Contract and invariants:
- A message is held from `append` until `done` or until it is dropped, and dropped rows are counted: for each
  epoch, read = stored + quarantined + held + dropped, after every call.
- Memory holds the newest messages of the present epoch: if it holds one, it holds every later one that is not
  done. Everything older is on the disk. So what is in memory is *live*, what is only on disk is *backlog*,
  and together they come out in the order in which they went in.
- Nothing is written to the disk as long as messages are acknowledged within `spill_after_s`, but for one
  record at the start and one at the end. What is older goes to the disk, together with its account, in one
  transaction; with `always`, `append` returns after the commit.
- Memory is bounded by `memory_bytes`. When the disk refuses, the oldest messages that are only in memory are
  dropped; the disk is tried again automatically, after a pause that grows to a minute.
- A message is returned with the bytes with which it was appended.
- An unusable file is renamed; what was known to be in it counts as dropped.
- An earlier epoch's account disappears once nothing of it is held and a status with it was `reported`.

All calls come from one event loop; SQLite has a thread of its own (`edge.outbox.writer`).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

from edge.outbox.backlog import Backlog
from edge.outbox.disk import Batch, DiskLimits, Dropped, Opened, OutboxDisk
from edge.outbox.entry import Entry
from edge.outbox.ledger import Ledger, restore
from edge.outbox.memory import Held, OutboxMemory
from edge.outbox.pending_deletions import PendingDeletions
from edge.outbox.settings import OutboxClock, OutboxSettings, OutboxState
from edge.outbox.writer import OutboxWriter
from metering.messages.data import MessageId
from metering.messages.status import EpochAccount

__all__ = ["Outbox", "OutboxClock", "OutboxSettings", "OutboxState"]

_LOGGER = logging.getLogger(__name__)
_SETTLED_S = 2.0  # younger messages are probably acknowledged soon, even where an older one was lost
#: Part of `memory_bytes` from which on messages are spilled whatever their age.
_SPILL_SHARE = 0.75


class Outbox:
    """The messages of one gateway process and what earlier ones left; use it as `async with`."""

    def __init__(self, settings: OutboxSettings, *, epoch: str, clock: OutboxClock) -> None:
        self._settings = settings
        self._epoch = epoch
        self._clock = clock
        self._started_at_s = clock.monotonic_s()
        limits = DiskLimits(max_bytes=settings.max_bytes, max_age_s=settings.max_age_s)
        disk = OutboxDisk(settings.path, limits, epoch=epoch)
        self._writer = OutboxWriter(disk, monotonic_s=clock.monotonic_s, on_open=self._load_opened)
        self._lock = asyncio.Lock()
        self._ledger = Ledger()
        self._ledger.open(EpochAccount(epoch, read=0, stored=0, quarantined=0, held=0, dropped=0))
        self._memory = OutboxMemory()
        self._clean_stop: bool | None = None
        self._dropped_up_to = 0
        self._handed: dict[MessageId, int] = {}
        self._backlog = Backlog(self._writer)
        self._deletions = PendingDeletions(now_s=clock.monotonic_s())
        self._maybe_final: tuple[EpochAccount, ...] | None = None
        self._ends_clean = False

    async def __aenter__(self) -> Self:
        async with self._lock:
            await self._writer.ready()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_more: object) -> None:
        await self.settle(clean=kind is None)
        await self._writer.close()

    async def append(self, *entries: Entry) -> bool:
        """Take messages of the present epoch; with `always`, return after the commit.

        Returns:
            Whether all are held as configured (with `always`: on the disk) or safe already.

        Raises:
            ValueError: for another epoch or a seq that does not rise.
        """
        for entry in entries:
            self._admit(entry)
        if self._settings.always:
            await self._save()
        elif self._is_filling:
            await self.maintain()
        return not entries or self._is_kept(entries)

    def discard_read(self, rows: int) -> None:
        """Count rows that were read and discarded before they became a message."""
        self._ledger.read(self._epoch, rows)
        self._ledger.drop(self._epoch, rows)

    def maybe_live(self) -> Entry | None:
        """Return the oldest message in memory that was not handed out yet; it stays until `hand_out`."""
        return self._memory.maybe_unsent()

    async def maybe_backlog(self) -> Entry | None:
        """Return the oldest message only on disk that was not handed out yet; it stays until `hand_out`."""
        held = sum(account.held for account in self._ledger.accounts)
        is_read_on = self._backlog.maybe_first() is None and not self._deletions.are_too_many
        if is_read_on and held > self._memory.rows:
            async with self._lock:
                before = MessageId(self._epoch, self._memory.first_seq)
                await self._backlog.fetch(before=before, known={*self._handed, *self._deletions.messages})
        return self._backlog.maybe_first()

    def hand_out(self, entry: Entry) -> None:
        """Note that the sender has taken a message and resends it until it is done."""
        self._handed[entry.id] = entry.rows
        if not self._backlog.hand_out(entry.id):
            self._memory.hand_out(entry.id.seq)

    async def maybe_entry(self, message: MessageId) -> Entry | None:
        """Return a message handed out, to send it again; `None` when it is not held or not readable now."""
        maybe_rows = self._handed.get(message)
        if maybe_rows is None:
            return None
        maybe_held = self._maybe_in_memory(message)
        if maybe_held is not None:
            return maybe_held.entry
        async with self._lock:
            maybe_body = await self._writer.work(lambda disk: disk.maybe_body(message))
        return None if maybe_body is None else Entry(message, maybe_rows, maybe_body)

    def is_held(self, message: MessageId) -> bool:
        """Tell whether a message handed out is still held: neither done nor dropped."""
        return message in self._handed

    def done(self, message: MessageId, *, quarantined: int = 0) -> bool:
        """Note that ingest has stored a message, some rows in its quarantine; False when it was not held."""
        maybe_rows = self._handed.pop(message, None)
        if maybe_rows is None:
            return False
        self._ledger.acknowledge(message.epoch, rows=maybe_rows, quarantined=quarantined)
        maybe_held = self._memory.release(message.seq) if message.epoch == self._epoch else None
        if maybe_held is None or maybe_held.on_disk:
            self._deletions.add(message)
        return True

    @property
    def accounts(self) -> tuple[EpochAccount, ...]:
        """Accounts of the present epoch and of all others of which rows are held or unreported."""
        return self._ledger.accounts

    @property
    def clean_stop(self) -> bool | None:
        """Whether the process before this one ended with everything written; `None` = not known."""
        return self._clean_stop

    @property
    def state(self) -> OutboxState:
        """A snapshot for status and metrics."""
        return OutboxState(
            memory_bytes=self._memory.bytes,
            memory_messages=len(self._memory),
            disk_bytes=self._writer.bytes,
            disk_is_usable=self._writer.is_usable,
            disk_problem=self._writer.problem,
            disk_failures=self._writer.failures,
            oldest_held_s=max(self._age_in_memory_s(), self._age_on_disk_s()),
        )

    def reported(self, accounts: Iterable[EpochAccount]) -> None:
        """Note the accounts of a status that the broker has taken; finished epochs are then deleted."""
        for account in accounts:
            is_final = account.epoch != self._epoch and account.held == 0 and account.epoch in self._ledger
            if is_final and self._ledger.account(account.epoch) == account:
                self._ledger.close(account.epoch)
                self._deletions.add_epoch(account.epoch)

    async def maintain(self) -> None:
        """Spill and delete what is due; to be called a few times a second."""
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if self._writer.is_pausing:
                return
            if self._is_filling or now_s - self._memory.oldest_at_s >= self._settings.spill_after_s:
                settled_s = 0.0 if self._is_filling else min(_SETTLED_S, self._settings.spill_after_s)
                await self._spill(lambda held: held.at_s <= now_s - settled_s)
            elif self._deletions.is_due(now_s=now_s) and await self._commit():
                await self._writer.work(OutboxDisk.give_back)
            elif not self._writer.is_usable:
                await self._commit()  # opens a file that may hold messages of earlier epochs

    async def settle(self, *, clean: bool = True) -> None:
        """Write everything to the disk at the end of this epoch; what it refuses is dropped.

        `clean` = all rows that were read have been appended or counted as dropped.
        """
        async with self._lock:
            if self._maybe_final == self.accounts and not self._deletions:
                return
            self._writer.retry_now()
            self._ends_clean = clean
            self._maybe_final = self.accounts
            if await self._spill(lambda _held: True):
                return
        for entry in self._memory.only_here():
            _LOGGER.error("the disk refuses the last write: %d rows of %s are lost", entry.rows, entry.id)
            self._count_dropped(entry.id, entry.rows)

    def _age_in_memory_s(self) -> float:
        return max(0.0, self._clock.monotonic_s() - self._memory.oldest_at_s)

    def _age_on_disk_s(self) -> float:
        held = sum(account.held for account in self.accounts)
        maybe_at_ms = self._writer.maybe_oldest_at_ms
        # Where memory has all that is held, messages on the disk are acknowledged and only not deleted yet.
        if maybe_at_ms is None or held <= self._memory.rows:
            return 0.0
        now_ms = self._clock.wall_ms()
        if not maybe_at_ms or not now_ms:
            return self._clock.monotonic_s() - self._started_at_s
        return max(0.0, (now_ms - maybe_at_ms) / 1000)

    def _maybe_in_memory(self, message: MessageId) -> Held | None:
        return self._memory.maybe_get(message.seq) if message.epoch == self._epoch else None

    @property
    def _is_filling(self) -> bool:
        return self._memory.bytes > _SPILL_SHARE * self._settings.memory_bytes

    def _admit(self, entry: Entry) -> None:
        if entry.id.epoch != self._epoch or entry.id.seq <= self._memory.last_seq:
            raise ValueError(f"{entry.id} does not follow {self._epoch}, {self._memory.last_seq}")
        self._memory.add(entry, now_s=self._clock.monotonic_s())
        self._ledger.read(self._epoch, entry.rows)
        while self._memory.bytes > self._settings.memory_bytes and len(self._memory) > 1:
            held = self._memory.release_oldest()
            if not held.on_disk:
                self._count_dropped(held.entry.id, held.entry.rows)

    def _is_kept(self, entries: Sequence[Entry]) -> bool:
        if entries[0].id.seq <= self._dropped_up_to:
            return False
        waiting = [held for one in entries if (held := self._memory.maybe_get(one.id.seq)) is not None]
        return not self._settings.always or all(held.on_disk for held in waiting)

    async def _save(self) -> None:
        async with self._lock:
            fresh = self._memory.only_here()
            # Nothing is fresh when the previous commit has included these.
            if fresh and not self._writer.is_pausing:
                await self._commit(fresh)

    async def _spill(self, is_due: Callable[[Held], bool]) -> bool:
        due = self._memory.oldest_while(is_due)
        fresh = tuple(held.entry for held in due if not held.on_disk)
        if (fresh or self._maybe_final is not None) and not await self._commit(fresh):
            return False
        for held in due:
            self._memory.release(held.entry.id.seq)
        return True

    async def _commit(self, entries: tuple[Entry, ...] = ()) -> bool:
        """Write messages, deletions and accounts as they are now; False when the disk refuses."""
        if not await self._writer.ready():
            return False
        batch = Batch(
            now_ms=self._clock.wall_ms(),
            entries=entries,
            done=tuple(self._deletions.messages),
            accounts=self._ledger.accounts,
            forgotten=self._deletions.epochs,
            clean=self._ends_clean,
        )
        maybe_dropped = await self._writer.write(lambda disk: disk.commit(batch))
        if maybe_dropped is not None:
            self._committed(batch, maybe_dropped)
        return maybe_dropped is not None

    def _committed(self, batch: Batch, dropped: tuple[Dropped, ...]) -> None:
        self._deletions.deleted(batch.done, batch.forgotten, now_s=self._clock.monotonic_s())
        for entry in batch.entries:
            maybe_held = self._memory.maybe_get(entry.id.seq)
            if maybe_held is None:  # acknowledged or dropped while it was being written
                self._deletions.add(entry.id)
            else:
                maybe_held.on_disk = True
        for one in dropped:
            if not self._deletions.remove(one.id):
                self._count_dropped(one.id, one.rows)

    def _count_dropped(self, message: MessageId, rows: int) -> None:
        self._ledger.drop(message.epoch, rows)
        self._handed.pop(message, None)
        if message.epoch == self._epoch:
            self._dropped_up_to = max(self._dropped_up_to, message.seq)
            self._memory.release(message.seq)
        self._backlog.forget(message)

    def _load_opened(self, opened: Opened) -> None:
        """Add the accounts of earlier epochs that an opened file holds."""
        if opened.maybe_set_aside is not None:
            self._lose_disk(opened.maybe_set_aside)
        for found in opened.earlier:
            epoch = found.record.epoch
            if epoch not in self._ledger and epoch not in self._deletions.epochs:
                self._ledger.open(restore(found.record, held=found.rows))
                self._clean_stop = found.record.clean

    def _lose_disk(self, moved: Path) -> None:
        """Count as dropped what a file held that has been renamed."""
        _LOGGER.error("the outbox file could not be used and was renamed to %s", moved)
        self._memory.lose_disk()
        for account in self._ledger.accounts:
            in_memory = self._memory.rows if account.epoch == self._epoch else 0
            self._ledger.drop(account.epoch, account.held - in_memory)
        self._handed = {one: rows for one, rows in self._handed.items() if self._maybe_in_memory(one)}
        self._backlog.start_over()
        self._deletions.clear()
