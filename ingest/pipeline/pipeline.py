"""One park's way from the broker to InfluxDB: receive, validate, journal, write, acknowledge.

Invariants:
- A message is acknowledged only after it is in the journal and each of its rows is in InfluxDB or in the
  quarantine, both fsynced.
- Rows received = written + quarantined + pending (`ingest.receive.accounts`); a message counts once, however
  often it is sent.
- Births are not acknowledged: those that a former process journaled and did not write are written first.
- Memory is bounded: the intake holds a bounded number of bytes, one batch is validated ahead, one is being
  written. What does not fit stays with the broker and the gateways.
- No gateway delays another: what exceeds its share of the queue (`ingest.receive.shares`), and what would
  exceed its quota of the quarantine, is PUBACKed, discarded and counted; not acknowledged, it stays with the
  gateway.
- Whatever a message holds, the next one is validated (`ingest.pipeline.supervision`).
- Each park has a pipeline of its own, so one that waits for its database or its disk delays no other.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from ingest.backoff import pause_s
from ingest.errors import DiskError
from ingest.events.open_events import OpenEvents
from ingest.events.texts import event_text
from ingest.journal.journal_and_quarantine import JournalAndQuarantine
from ingest.journal.quarantine_entry import QuarantineEntry
from ingest.journal.segments import Record
from ingest.pipeline.ahead import Ahead, maybe_due_ms
from ingest.pipeline.refusals import Journaled, point_entry, refusal_entries, to_entries
from ingest.pipeline.supervision import validate_safely
from ingest.pipeline.writer import ParkWriter
from ingest.receive.accounts import Accounts
from ingest.receive.acks import Outcome, PendingAcks
from ingest.receive.deliveries import Deliveries
from ingest.receive.intake import Intake
from ingest.receive.shares import Shares
from ingest.receive.subscriber import Arrival
from ingest.validation.messages import MessageValidator, ValidationResult
from ingest.validation.rows import RefusedRow, RowReason
from metering.messages import data as message
from metering.messages.data import MessageId
from metering.park.model import Park

_LOGGER = logging.getLogger(__name__)

#: A batch is closed after this time; under load it is full before.
LINGER_S = 0.1
#: Bodies of a batch; as line protocol they are about twice to five times as long, deflated ones much more.
BATCH_BYTES = 512 * 1024
#: Bounds what deflated bodies, of a megabyte each at most, can become.
BATCH_MESSAGES = 100

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkParts:
    """What a pipeline works with: parts of the one park, and the journal and quarantine of all parks."""

    id: str
    validator: MessageValidator
    writer: ParkWriter
    journal_and_quarantine: JournalAndQuarantine
    events: OpenEvents
    accounts: Accounts
    acks: PendingAcks
    deliveries: Deliveries
    shares: Shares
    intake: Intake
    ahead: Ahead


class Pipeline:
    """Validates, journals, writes and settles what the intake of a park holds."""

    def __init__(
        self,
        park: ParkParts,
        *,
        clock_ms: Callable[[], int],
        jitter: Callable[[], float],
        linger_s: float = LINGER_S,
    ) -> None:
        self._park = park
        self._clock_ms = clock_ms
        self._jitter = jitter
        self._linger_s = linger_s
        self._to_write: asyncio.Queue[list[Journaled] | None] = asyncio.Queue(maxsize=1)
        self._validating = asyncio.Lock()
        self._maybe_edited: Park | None = None
        self.maybe_disk_error: DiskError | None = None

    def change_park(self, park: Park) -> None:
        """Validate what comes by another edition of the park's description."""
        self._maybe_edited = park

    def arrived(self, arrival: Arrival, puback: Callable[[Arrival], None]) -> None:
        """Take a data message or a birth from the broker."""
        park, gateway = self._park, arrival.topic.gateway
        maybe_tag = message.maybe_tag(arrival.properties) if arrival.topic.kind == "data" else None
        if maybe_tag is not None and self._is_repeated(gateway, maybe_tag.id, arrival.body):
            park.accounts.of(gateway).duplicates += 1
            puback(arrival)
        elif not park.shares.take(str(arrival.topic), len(arrival.body)):
            self._discard(gateway)
            puback(arrival)
        elif not park.intake.offer(arrival):
            park.shares.give_back(str(arrival.topic), len(arrival.body))
        elif maybe_tag is not None:
            park.deliveries.begin(gateway, maybe_tag.id)

    def _is_repeated(self, gateway: str, message_id: MessageId, body: bytes) -> bool:
        """Tell whether a message is on its way or acknowledged lately; then acknowledge it once more."""
        park = self._park
        maybe_outcome = park.deliveries.maybe_outcome(gateway, message_id, body)
        if maybe_outcome is not None:
            park.acks.add(gateway, maybe_outcome)
        return maybe_outcome is not None or park.deliveries.is_pending(gateway, message_id)

    def _discard(self, gateway: str) -> None:
        self._park.accounts.of(gateway).discarded += 1
        self._raise(
            "too_many_messages",
            gateway,
            messages=str(message.WINDOW_MESSAGES),
            kilobytes=str(message.WINDOW_BYTES // 1000),
        )

    def _raise(self, kind: str, gateway: str, **parameters: str) -> None:
        """Open an event about a gateway; log it once, at the beginning."""
        facts = {"gateway": gateway, **parameters}
        if self._park.events.open(kind, gateway, facts, self._clock_ms()):
            _LOGGER.warning("%s: %s", self._park.id, event_text(kind, facts))

    async def run(self) -> None:
        """Work until the intake is closed and everything taken is settled."""
        await self._catch_up()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._journal_all(), name=f"journal-{self._park.id}")
            tasks.create_task(self._write_all(), name=f"write-{self._park.id}")

    async def _catch_up(self) -> None:
        """Write what births in the journal announce and `meters` does not have, as a replay would."""
        records = await asyncio.to_thread(self._park.journal_and_quarantine.last_births, self._park.id)
        results = await self.validate(records)
        await self._park.writer.write_points([line for result in results for line in result.points])

    # -- validate and journal -----------------------------------------------------------------------

    async def _journal_all(self) -> None:
        intake = self._park.intake
        while True:
            await intake.wait()
            if intake.queued_bytes < BATCH_BYTES and not intake.is_finished:
                await asyncio.sleep(self._linger_s)
            arrivals = intake.take(BATCH_BYTES, BATCH_MESSAGES)
            if arrivals:
                await self._to_write.put(await self._journal(arrivals))
            elif intake.is_finished:
                await self._to_write.put(None)
                return

    async def _journal(self, arrivals: Sequence[Arrival]) -> list[Journaled]:
        records = [Record(str(one.topic), one.received_at_ms, one.properties, one.body) for one in arrivals]
        results = await self.validate(records)
        validated = await self._within_quotas(list(zip(records, results, strict=True)))
        if not validated:
            return []
        for record, result in validated:
            self._note(result)
            if record.topic.endswith("/birth"):
                self._note_birth(result)
        places = await self._until_on_disk(
            self._park.journal_and_quarantine.journal, [record for record, _ in validated]
        )
        journaled = [
            Journaled(record, result, place)
            for (record, result), place in zip(validated, places, strict=True)
        ]
        entries = [(one, entry) for one in journaled for entry in refusal_entries(one)]
        await self._quarantine([entry for _, entry in entries])
        for one, entry in entries:
            maybe_due = maybe_due_ms(entry, one.record)
            if maybe_due is not None:
                self._park.ahead.note(entry, maybe_due)
        return journaled

    async def _within_quotas(
        self, validated: list[tuple[Record, ValidationResult]]
    ) -> list[tuple[Record, ValidationResult]]:
        """Return what may be kept; the rest has rows for a quarantine whose quota its gateway has used up."""
        wanted = {
            (result.gateway, record.received_at_ms) for record, result in validated if result.is_set_aside
        }
        if not wanted:
            return validated
        full = await self._until_on_disk(
            partial(self._park.journal_and_quarantine.full_quotas, self._park.id), sorted(wanted)
        )
        for record, result in validated:
            if result.is_set_aside and result.gateway in full:
                self._hold_back(record, result.gateway)
        return [
            (record, result)
            for record, result in validated
            if not (result.is_set_aside and result.gateway in full)
        ]

    def _hold_back(self, record: Record, gateway: str) -> None:
        park = self._park
        park.accounts.of(gateway).held_back += 1
        day = datetime.fromtimestamp(record.received_at_ms / 1000, UTC).date().isoformat()
        megabytes = f"{park.journal_and_quarantine.quota_bytes / 1e6:g}"
        self._raise("quarantine_full", gateway, day=day, megabytes=megabytes)
        # No longer pending, so that a resend is accepted.
        park.shares.give_back(record.topic, len(record.body))
        maybe_tag = message.maybe_tag(record.properties)
        if maybe_tag is not None:
            park.deliveries.cancel(gateway, maybe_tag.id)

    async def validate(self, records: Sequence[Record]) -> list[ValidationResult]:
        """Validate records in a thread, by the park's newest description; one call at a time."""
        async with self._validating:
            if self._maybe_edited is not None:
                self._park.validator.change_park(self._maybe_edited)
                self._maybe_edited = None
            return await asyncio.to_thread(self._validate_all, records)

    def _validate_all(self, records: Sequence[Record]) -> list[ValidationResult]:
        return [validate_safely(self._park.validator, record) for record in records]

    def _note(self, result: ValidationResult) -> None:
        account = self._park.accounts.of(result.gateway)
        account.receive(result.rows)
        account.bad_values.update(result.bad_values)
        for reason in (RowReason.FOREIGN_METER, RowReason.WRONG_MEDIUM):
            meters = {row.meter for row in result.refused if row.reason is reason}
            if meters:
                self._raise(str(reason), result.gateway, meters=", ".join(sorted(meters)[:5]))

    def _note_birth(self, result: ValidationResult) -> None:
        if result.maybe_reason is None:
            self._park.events.close("birth_refused", result.gateway, self._clock_ms())
            return
        self._park.accounts.of(result.gateway).births_refused += 1
        self._raise("birth_refused", result.gateway, error=result.detail[:200])

    async def _quarantine(self, entries: Sequence[QuarantineEntry]) -> None:
        if entries:
            await self._until_on_disk(self._park.journal_and_quarantine.quarantine, entries)

    async def _until_on_disk(self, to_disk: Callable[[Sequence[T]], U], things: Sequence[T]) -> U:
        """Bring something to the disk; while the disk refuses, receive and write nothing."""
        failures = 0
        while True:
            try:
                done = await asyncio.to_thread(to_disk, things)
            except DiskError as error:
                self._disk_failed(error)
                failures += 1
                await asyncio.sleep(pause_s(failures, self._jitter()))
            else:
                self._disk_works()
                return done

    def _disk_failed(self, error: DiskError) -> None:
        self._park.intake.hold()
        if self.maybe_disk_error is None:
            _LOGGER.error("%s: receiving and writing wait for the disk: %s", self._park.id, error)
        self.maybe_disk_error = error
        parameters = {"path": str(error.path), "bytes": str(error.size_bytes), "error": str(error)}
        self._park.events.open("journal_failed", self._park.id, parameters, self._clock_ms())

    def _disk_works(self) -> None:
        if self.maybe_disk_error is not None:
            _LOGGER.info("%s: the disk takes data again", self._park.id)
            self.maybe_disk_error = None
        # Also one that a former process has left open.
        self._park.events.close("journal_failed", self._park.id, self._clock_ms())
        self._park.intake.release()

    # -- write and settle ---------------------------------------------------------------------------

    async def _write_all(self) -> None:
        while True:
            maybe_batch = await self._to_write.get()
            if maybe_batch is None:
                return
            await self._write(maybe_batch)

    async def _write(self, batch: Sequence[Journaled]) -> None:
        points = [(one, line) for one in batch for line in one.result.points]
        rows = [(one, row) for one in batch for row in one.result.stored]
        refused_points = await self._park.writer.write_points([line for _, line in points])
        refused_rows = await self._park.writer.write_rows([row for _, row in rows])
        refused: dict[int, list[RefusedRow]] = {}
        for index in refused_rows:
            one, row = rows[index]
            refused.setdefault(id(one), []).append(
                RefusedRow(row.position, RowReason.REFUSED_BY_INFLUXDB, row.meter)
            )
        entries = [
            point_entry(points[index][0], RowReason.REFUSED_BY_INFLUXDB, points[index][1].decode())
            for index in refused_points
        ]
        entries += [entry for one in batch for entry in to_entries(one, refused.get(id(one), ()))]
        await self._quarantine(entries)
        for one in batch:
            self._settle(one, refused.get(id(one), ()))

    def _settle(self, journaled: Journaled, refused: Sequence[RefusedRow]) -> None:
        result = journaled.result
        self._park.shares.give_back(journaled.record.topic, len(journaled.record.body))
        quarantined = Counter(str(row.reason) for row in (*result.refused, *refused))
        if result.maybe_reason is not None:
            quarantined[result.maybe_reason] += result.rows
        written = len(result.stored) - len(refused)
        self._park.accounts.of(result.gateway).settle(written=written, quarantined=quarantined)
        if result.maybe_id is not None:
            refusals = tuple((rows, reason) for reason, rows in sorted(quarantined.items()))
            outcome = Outcome(result.maybe_id, written, refusals)
            self._park.deliveries.end(result.gateway, outcome, journaled.record.body)
            self._park.acks.add(result.gateway, outcome)
