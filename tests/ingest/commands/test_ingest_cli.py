"""The command line as a user meets it: help pages, lists, and errors without a traceback."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ingest.command_line import cli
from ingest.journal.journal import Journal
from ingest.journal.segments import Record

NOON_MS = 1_790_078_400_000  # 2026-09-22T12:00:00Z
PROGRAM = Path(sys.executable).with_name("zonewise-ingest")


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """Every command that a user can call, as words."""
    context = click.Context(group)
    found: list[tuple[str, ...]] = [path]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += commands(command, *path, name) if isinstance(command, click.Group) else [(*path, name)]
    return found


def test_every_help_page_has_an_example_and_fits_a_terminal() -> None:
    for words in commands(cli):
        page = CliRunner().invoke(cli, [*words, "--help"], prog_name="zonewise-ingest").output
        assert f"zonewise-ingest {' '.join(words)}".strip() in page.split("Usage:")[1], words
        assert "Example" in page or "First steps" in page, words
        assert max(len(line) for line in page.splitlines()) <= 80, words


def test_the_journal_is_listed_by_park_and_segment(ingest_yaml: Path, tmp_path: Path) -> None:
    with Journal(tmp_path / "data" / "journal") as journal:
        for park, count in (("demo", 3), ("other", 1)):
            topic = f"zonewise/v1/{park}/gw-1/data"
            journal.append([Record(topic, NOON_MS + i * 61_000, (), b"{}") for i in range(count)])
    shown = CliRunner().invoke(cli, ["journal", "list", "--config", str(ingest_yaml)]).output
    assert max(len(line) for line in shown.splitlines()) <= 80
    size = (tmp_path / "data" / "journal" / "demo" / "2026-09-22.1.1.zwj").stat().st_size
    (demo,) = [
        line.split() for line in shown.splitlines() if line.startswith("  2026-09-22") and " 3 " in line
    ]
    assert demo == ["2026-09-22", "1.1", "3", str(size), "12:00:00", "12:02:02"]
    only = (
        CliRunner().invoke(cli, ["journal", "list", "--config", str(ingest_yaml), "--park", "other"]).output
    )
    assert "demo" not in only
    assert "other: 1 segment" in only


def test_an_empty_journal_says_so(ingest_yaml: Path) -> None:
    shown = CliRunner().invoke(cli, ["journal", "list", "--config", str(ingest_yaml)]).output
    assert shown.startswith("No records yet below ")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False)


@pytest.mark.servers
def test_a_broken_configuration_ends_with_2_and_every_problem(ingest_yaml: Path) -> None:
    ingest_yaml.write_text("store: {flavour: 9}\nparks: parks\ndatta: x\n", encoding="utf-8")
    done = run("init", "--config", str(ingest_yaml))
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert f"{ingest_yaml}:3:1: unknown key 'datta'; did you mean 'data'?" in done.stderr
    assert f"{ingest_yaml}:1:18: flavour: 9 is not 1, 2 or 3" in done.stderr
    assert len(done.stderr.splitlines()) == 5


@pytest.mark.servers
def test_an_influxdb_that_is_not_there_ends_with_1_and_a_sentence(ingest_yaml: Path) -> None:
    done = run("init", "--config", str(ingest_yaml))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr
