"""An outbox that version 0.1 left behind is taken over: messages byte for byte, accounts row by row."""

import shutil
from pathlib import Path

from edge.outbox.entry import Entry
from edge.outbox.outbox import Outbox, OutboxClock, OutboxSettings
from metering.messages.data import MessageId, inflate
from metering.messages.status import EpochAccount

OLD = Path(__file__).parent / "0.1" / "outbox.db"
EPOCH = "00000000000000a1"


async def test_outbox_of_0_1(tmp_path: Path) -> None:
    path = Path(shutil.copy(OLD, tmp_path))
    clock = OutboxClock(lambda: 0.0, lambda: 1_790_000_100_000)
    async with Outbox(OutboxSettings(path=path), epoch="00000000000000b2", clock=clock) as outbox:
        assert outbox.clean_stop is True
        assert outbox.accounts[1] == EpochAccount(
            EPOCH, read=9, stored=2, quarantined=1, held=2, dropped=4, read_is_known=True
        )
        entry = await outbox.maybe_backlog()
        assert isinstance(entry, Entry)
        assert (entry.id, entry.rows, entry.is_deflated) == (MessageId(EPOCH, 2), 2, True)
        assert inflate(entry.body) == b'{"schema":1,"more":true}'
