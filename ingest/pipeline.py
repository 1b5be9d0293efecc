"""One park's way from the broker to InfluxDB: receive, judge, journal, write, acknowledge.

Invariants:
- A message is acknowledged only after it is in the journal and each of its rows is in InfluxDB or in the
  quarantine, both fsynced.
- Rows received = written + quarantined + pending (`ingest.accounts`); a message counts once, however often it
  is sent.
- Births are not acknowledged: those that a former process journaled and did not write are written first.
- Memory is bounded: the intake holds a bounded number of bytes, one batch is judged ahead, one is being
  written. What does not fit stays with the broker and the gateways.
- Whatever a message holds, the next one is judged (`ingest.supervision`).
- Each park has a pipeline of its own, so one that waits for its database or its disk holds up no other.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ingest.accounts import Accounts
from ingest.acks import AckBook, Outcome
from ingest.ahead import Ahead, maybe_due_ms
from ingest.deliveries import Deliveries
from ingest.errors import DiskError
from ingest.events import EventBook
from ingest.intake import Intake
from ingest.journal import Record
from ingest.judge import Judge, Verdict
from ingest.quarantine import Entry
from ingest.safekeeping import Kept, Safekeeping, point_entry, to_entries, verdict_entries
from ingest.subscriber import Arrival
from ingest.supervision import judge_safely
from ingest.validate import RefusedRow, RowReason
from ingest.writer import ParkWriter, pause_s
from metering import message
from metering.park import Park as ParkDescription

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
class Park:
    """What a pipeline works with; all of it belongs to the one park but `safekeeping`."""

    id: str
    judge: Judge
    writer: ParkWriter
    safekeeping: Safekeeping
    events: EventBook
    accounts: Accounts
    acks: AckBook
    deliveries: Deliveries
    intake: Intake
    ahead: Ahead


class Pipeline:
    """Judges, journals, writes and settles what the intake of a park holds."""

    def __init__(
        self,
        park: Park,
        *,
        clock_ms: Callable[[], int],
        dice: Callable[[], float],
        linger_s: float = LINGER_S,
    ) -> None:
        self._park = park
        self._clock_ms = clock_ms
        self._dice = dice
        self._linger_s = linger_s
        self._to_write: asyncio.Queue[list[Kept] | None] = asyncio.Queue(maxsize=1)
        self._judging = asyncio.Lock()
        self._maybe_edited: ParkDescription | None = None
        self.maybe_disk_error: DiskError | None = None

    def change_park(self, park: ParkDescription) -> None:
        """Judge what comes by another edition of the park's description."""
        self._maybe_edited = park

    def arrived(self, arrival: Arrival, puback: Callable[[Arrival], None]) -> None:
        """Take a data message or a birth from the broker."""
        park = self._park
        gateway = arrival.topic.gateway
        maybe_tag = message.maybe_tag(arrival.properties) if arrival.topic.kind == "data" else None
        if maybe_tag is None:
            park.intake.offer(arrival)
            return
        maybe_outcome = park.deliveries.maybe_outcome(gateway, maybe_tag.id, arrival.body)
        if maybe_outcome is not None:
            park.acks.add(gateway, maybe_outcome)
        elif park.deliveries.begin(gateway, maybe_tag.id):
            if not park.intake.offer(arrival):
                park.deliveries.give_up(gateway, maybe_tag.id)
            return
        park.accounts.of(gateway).duplicates += 1
        puback(arrival)

    async def run(self) -> None:
        """Work until the intake is closed and everything taken is settled."""
        await self._catch_up()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_all(), name=f"keep-{self._park.id}")
            tasks.create_task(self._write_all(), name=f"write-{self._park.id}")

    async def _catch_up(self) -> None:
        """Write what births in the journal say and `meters` does not have, as a replay would."""
        records = await asyncio.to_thread(self._park.safekeeping.last_births, self._park.id)
        verdicts = await self.judge(records)
        await self._park.writer.write_points([line for verdict in verdicts for line in verdict.points])

    # -- judge and journal --------------------------------------------------------------------------

    async def _keep_all(self) -> None:
        intake = self._park.intake
        while True:
            await intake.wait()
            if intake.queued_bytes < BATCH_BYTES and not intake.is_finished:
                await asyncio.sleep(self._linger_s)
            arrivals = intake.take(BATCH_BYTES, BATCH_MESSAGES)
            if arrivals:
                await self._to_write.put(await self._keep(arrivals))
            elif intake.is_finished:
                await self._to_write.put(None)
                return

    async def _keep(self, arrivals: Sequence[Arrival]) -> list[Kept]:
        records = [Record(str(one.topic), one.received_at_ms, one.properties, one.body) for one in arrivals]
        verdicts = await self.judge(records)
        for verdict in verdicts:
            self._note(verdict)
        places = await self._until_kept(self._park.safekeeping.journal, records)
        kept = [
            Kept(record, verdict, place)
            for record, verdict, place in zip(records, verdicts, places, strict=True)
        ]
        entries = [(one, entry) for one in kept for entry in verdict_entries(one)]
        await self._quarantine([entry for _, entry in entries])
        for one, entry in entries:
            maybe_due = maybe_due_ms(entry, one.record)
            if maybe_due is not None:
                self._park.ahead.note(entry, maybe_due)
        return kept

    async def judge(self, records: Sequence[Record]) -> list[Verdict]:
        """Judge records in a thread, by the newest edition of the park's description; one call at a time."""
        async with self._judging:
            if self._maybe_edited is not None:
                self._park.judge.change_park(self._maybe_edited)
                self._maybe_edited = None
            return await asyncio.to_thread(self._judge_all, records)

    def _judge_all(self, records: Sequence[Record]) -> list[Verdict]:
        return [judge_safely(self._park.judge, record) for record in records]

    def _note(self, verdict: Verdict) -> None:
        account = self._park.accounts.of(verdict.gateway)
        account.receive(verdict.rows)
        account.bad_values.update(verdict.bad_values)
        foreign = {row.meter for row in verdict.refused if row.reason is RowReason.FOREIGN_METER}
        if foreign:
            meters = ", ".join(sorted(foreign)[:5])
            self._park.events.open(
                "foreign_meter",
                verdict.gateway,
                {"gateway": verdict.gateway, "meters": meters},
                self._clock_ms(),
            )

    async def _quarantine(self, entries: Sequence[Entry]) -> None:
        if entries:
            await self._until_kept(self._park.safekeeping.quarantine, entries)

    async def _until_kept(self, keep: Callable[[Sequence[T]], U], things: Sequence[T]) -> U:
        """Bring something to the disk; while the disk refuses, nothing comes in and nothing goes out."""
        attempt = 0
        while True:
            try:
                done = await asyncio.to_thread(keep, things)
            except DiskError as error:
                self._disk_failed(error)
                await asyncio.sleep(pause_s(attempt, self._dice()))
                attempt += 1
            else:
                self._disk_works()
                return done

    def _disk_failed(self, error: DiskError) -> None:
        self._park.intake.hold()
        if self.maybe_disk_error is None:
            _LOGGER.error("%s: ingest waits: %s", self._park.id, error)
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

    async def _write(self, batch: Sequence[Kept]) -> None:
        points = [(one, line) for one in batch for line in one.verdict.points]
        rows = [(one, row) for one in batch for row in one.verdict.stored]
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

    def _settle(self, kept: Kept, refused: Sequence[RefusedRow]) -> None:
        verdict = kept.verdict
        quarantined = Counter(str(row.reason) for row in (*verdict.refused, *refused))
        if verdict.maybe_reason is not None:
            quarantined[verdict.maybe_reason] += verdict.rows
        written = len(verdict.stored) - len(refused)
        self._park.accounts.of(verdict.gateway).settle(written=written, quarantined=quarantined)
        if verdict.maybe_id is not None:
            told = tuple((rows, reason) for reason, rows in sorted(quarantined.items()))
            outcome = Outcome(verdict.maybe_id, written, told)
            self._park.deliveries.end(verdict.gateway, outcome, kept.record.body)
            self._park.acks.add(verdict.gateway, outcome)
