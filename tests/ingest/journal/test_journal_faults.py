"""The journal on a disk that is full, and through random faults, against a simple list."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ingest.errors import JournalError
from ingest.journal.journal import Journal
from ingest.journal.reader import JournalReader
from ingest.journal.segments import Record, encode_frame
from tests.ingest.journal.journal_records import bodies, record
from tests.peers.full_disk import files_limited_to

_ON_A_SMALL_DISK = """
import sys
from pathlib import Path
from ingest.errors import JournalError
from ingest.journal.journal import Journal
from ingest.journal.segments import Record
folder = Path(sys.argv[1])
filler = folder / "filler"
filler.write_bytes(bytes(40_000))
bodies = [b"%020d" % number for number in range(4_000)]
kept = []
with Journal(folder / "journal") as journal:
    def append(some):
        journal.append([Record("zonewise/v1/demo/gw-1/data", 1_790_078_400_000, (), body) for body in some])
        kept.extend(some)
    try:
        for body in bodies:
            append([body])
    except JournalError as error:
        print(error)
    filler.unlink()
    append([b"after"])
    assert [record.body for _, record in journal.read("demo")] == kept
    print(len(kept))
"""
_SMALL_DISK = f'mount -t tmpfs -o size=64k tmpfs "$1" && exec {sys.executable} -c "$2" "$1"'
_CAN_MOUNT = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.servers
@pytest.mark.skipif(not _CAN_MOUNT, reason="no file system may be mounted here (unshare -rm)")
def test_a_file_system_that_is_full_and_then_not(tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", _SMALL_DISK, "sh", str(tmp_path), _ON_A_SMALL_DISK],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said, count = done.stdout.splitlines()
    assert said.startswith(f"{tmp_path}/journal/demo/2026-09-22.1.1.zwj: ")
    assert said.endswith("bytes could not be written: No space left on device")
    assert int(count) > 1


class JournalMachine(RuleBasedStateMachine):
    """Random appends, full disks, crashes in the middle of a write and restarts, against a simple list."""

    def __init__(self) -> None:
        super().__init__()
        self._temporary = TemporaryDirectory()
        self.folder = Path(self._temporary.name)
        self.journal = self._open()
        self.kept: list[bytes] = []
        self.count = 0

    def _open(self) -> Journal:
        return Journal(self.folder, full_bytes=2_000)

    def _records(self, sizes: list[int]) -> list[Record]:
        first, self.count = self.count, self.count + len(sizes)
        return [record(first + i, size=size) for i, size in enumerate(sizes)]

    @rule(sizes=st.lists(st.integers(20, 900), min_size=1, max_size=5))
    def append(self, sizes: list[int]) -> None:
        """Append a group."""
        records = self._records(sizes)
        self.journal.append(records)
        self.kept += [one.body for one in records]

    @rule(limit=st.integers(1, 3_000))
    def append_on_a_full_disk(self, limit: int) -> None:
        """Fail to append."""
        records = self._records([4_000])
        with files_limited_to(limit), pytest.raises(JournalError):
            self.journal.append(records)

    @rule(written=st.integers(0, 500))
    def crash_in_the_middle_of_a_write(self, written: int) -> None:
        """Leave a part of a frame behind."""
        self.journal.close()
        segments = self.journal.reader.segments("demo")
        if segments:
            with self.journal.reader.path("demo", segments[-1]).open("ab") as file:
                file.write(encode_frame(self._records([600]))[:written])
        self.journal = self._open()

    @rule()
    def restart(self) -> None:
        """Close and open again."""
        self.journal.close()
        self.journal = self._open()

    @invariant()
    def everything_that_was_appended_is_there_in_order(self) -> None:
        """Compare with the list."""
        assert bodies(JournalReader(self.folder)) == self.kept

    def teardown(self) -> None:
        """Clean up."""
        self.journal.close()
        self._temporary.cleanup()


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
