"""The outbox and a model of it, over random appends, sendings, acknowledgements, restarts and kills."""

import asyncio
import shutil
import sqlite3
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.outbox.entry import Entry
from edge.outbox.outbox import Outbox, OutboxSettings
from metering.messages.data import MessageId
from tests.edge.outbox.outboxes import Time, drain, entry

T = TypeVar("T")


@dataclass
class Model:
    """What an outbox must hold, however it does it: messages by id, in order; and all that ever went in."""

    held: dict[MessageId, Entry] = field(default_factory=dict)
    appended: dict[MessageId, Entry] = field(default_factory=dict)


class OutboxMachine(RuleBasedStateMachine):
    """Random appends, sendings, acknowledgements, restarts and kills."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.place = 0
        self.time = Time()
        self.starts = 0
        self.sent: list[Entry] = []
        self.model = Model()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end."""
        return self.loop.run_until_complete(work)

    @property
    def path(self) -> Path:
        """The file of the machine that runs now."""
        return Path(self.folder.name) / str(self.place) / "outbox.db"

    @initialize(always=st.booleans())
    def start(self, *, always: bool) -> None:
        """Choose the durability of this course."""
        self.always = always
        self.open()

    def open(self) -> None:
        """Start a process."""
        self.starts += 1
        self.epoch = f"{self.starts:016x}"
        self.seq = 0
        self.sent = []
        chosen = OutboxSettings(
            path=self.path, always=self.always, max_bytes=3000, memory_bytes=1500, max_age_s=1e9
        )
        self.outbox = Outbox(chosen, epoch=self.epoch, clock=self.time.clock)
        self.wait(self.outbox.__aenter__())

    @rule(count=st.integers(1, 6), rows=st.integers(1, 5), size=st.integers(30, 300))
    def append(self, count: int, rows: int, size: int) -> None:
        """Rows come."""
        for _ in range(count):
            self.seq += 1
            one = entry(self.seq, epoch=self.epoch, rows=rows, size=size)
            self.model.held[one.id] = self.model.appended[one.id] = one
            self.wait(self.outbox.append(one))
        self.forget_dropped()

    @rule(live=st.booleans(), count=st.integers(1, 5))
    def send(self, count: int, *, live: bool) -> None:
        """Messages go out, live or backlog."""
        for _ in range(count):
            work = self.outbox.maybe_backlog()
            one = self.outbox.maybe_live() if live else self.wait(work)
            if live:
                work.close()
            if one is None:
                break
            assert one == self.model.held[one.id], "the bytes are those that went in"
            assert one.id not in {sent.id for sent in self.sent}, "handed out once"
            self.outbox.hand_out(one)
            self.sent.append(one)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """One of them is safe."""
        one = data.draw(st.sampled_from(self.sent))
        self.sent.remove(one)
        assert self.outbox.done(one.id) == (one.id in self.model.held)
        assert not self.outbox.done(one.id), "a second acknowledgement is ignored"
        self.model.held.pop(one.id, None)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def read_again(self, data: st.DataObject) -> None:
        """One of them is sent again."""
        one = data.draw(st.sampled_from(self.sent))
        maybe_entry = self.wait(self.outbox.maybe_entry(one.id))
        assert maybe_entry == self.model.held.get(one.id), "there until it is done or dropped"
        assert self.outbox.is_held(one.id) == (one.id in self.model.held)

    @rule(seconds=st.sampled_from([0.3, 3.0, 11.0, 70.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes, upkeep is done."""
        self.time.pass_(seconds)
        self.wait(self.outbox.maintain())
        self.forget_dropped()

    @rule()
    def report(self) -> None:
        """A status was taken."""
        self.outbox.reported(self.outbox.accounts)

    @rule()
    def restart(self) -> None:
        """Stop in order and start again."""
        self.wait(self.outbox.__aexit__(None, None, None))
        self.forget_dropped()
        self.open()
        assert self.outbox.clean_stop is not False

    @rule()
    def kill(self) -> None:
        """What a kill leaves is what stands in the files now."""
        old, self.place = self.path.parent, self.place + 1
        on_disk = self.ids_on_disk(old)
        shutil.copytree(old, self.path.parent)
        self.wait(self.outbox.__aexit__(None, None, None))
        for message in self.model.held.keys() - on_disk:
            assert not self.always, "with `always` a kill loses nothing"
            assert message.epoch == self.epoch, "what was on disk stays there"
        # What was acknowledged but not deleted yet is sent once more.
        self.model.held = {message: one for message, one in self.model.appended.items() if message in on_disk}
        self.open()

    def ids_on_disk(self, folder: Path) -> set[MessageId]:
        """Read the file without code of ours."""
        with TemporaryDirectory() as copy:
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            connection = sqlite3.connect(Path(copy) / "outbox.db")
            found = connection.execute(
                "SELECT epoch, key & 1099511627775 FROM message JOIN epoch ON ordinal = key >> 40"
            ).fetchall()
            connection.close()
        return {MessageId(epoch, seq) for epoch, seq in found}

    def forget_dropped(self) -> None:
        """Drops are the oldest first, and as many rows as the accounts say."""
        for account in self.outbox.accounts:
            mine = [one for one in self.model.held.values() if one.id.epoch == account.epoch]
            excess = sum(one.rows for one in mine) - account.held
            while excess > 0:
                oldest = mine.pop(0)
                excess -= oldest.rows
                del self.model.held[oldest.id]
            assert excess == 0, "whole messages are dropped, oldest first"

    @invariant()
    def accounts_balance(self) -> None:
        """Every epoch adds up, and memory is bounded."""
        if not hasattr(self, "outbox"):
            return
        accounts = {account.epoch: account for account in self.outbox.accounts}
        assert all(account.balance == 0 for account in accounts.values())
        for one in self.model.held.values():
            assert accounts[one.id.epoch].held > 0
        assert self.outbox.state.memory_bytes <= 1500

    def teardown(self) -> None:
        """What is left comes out."""
        if hasattr(self, "outbox"):
            known = {sent.id for sent in self.sent}
            rest = {one.id for one in self.wait(drain(self.outbox))}
            assert rest | (known & self.model.held.keys()) == self.model.held.keys(), "each comes out"
            self.wait(self.outbox.__aexit__(None, None, None))
        self.loop.close()
        self.folder.cleanup()


OutboxMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestOutboxModel = OutboxMachine.TestCase
