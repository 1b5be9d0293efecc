"""`zonewise-ingest journal list|replay`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from ingest.commands.options import config_option, park_option
from ingest.commands.replay import journal_replay
from ingest.config import load_config
from ingest.journal.reader import JournalReader, SegmentName
from ingest.journal.segments import Frame


@click.group()
def command() -> None:
    """Look at the journal of received messages, or write it to InfluxDB again.

    \b
    Examples:
      zonewise-ingest journal list --config ingest.yaml
      zonewise-ingest journal replay --config ingest.yaml
    """  # noqa: D301 - click's mark for "do not wrap", not an escape


command.add_command(journal_replay, "replay")


@command.command("list")
@config_option
@park_option
def list_segments(*, config_path: Path, maybe_park: str | None) -> None:
    """List the journal's segments: records, bytes, first and last receipt.

    \b
    Example:
      zonewise-ingest journal list --config ingest.yaml --park demo
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    reader = JournalReader(load_config(config_path).journal_folder)
    parks = reader.parks() if maybe_park is None else (maybe_park,)
    if not any(reader.segments(park) for park in parks):
        click.echo(f"No records yet below {reader.folder}.")
    for park in parks:
        _list_park(reader, park)


def _list_park(reader: JournalReader, park: str) -> None:
    segments = reader.segments(park)
    if not segments:
        return
    click.echo(f"{park}: {len(segments)} segment{'s' * (len(segments) > 1)} (times in UTC)")
    click.echo(f"  {'day':10}  {'segment':16} {'records':>10} {'bytes':>14}  first     last")
    for segment in segments:
        frames = tuple(reader.frames(park, segment))
        size_bytes = reader.path(park, segment).stat().st_size
        click.echo(f"  {segment.day}  {_line(segment, frames, size_bytes)}")


def _line(segment: SegmentName, frames: Sequence[Frame], size_bytes: int) -> str:
    records = sum(frame.record_count for frame in frames)
    first = _clock(min((frame.first_ms for frame in frames), default=None))
    last = _clock(max((frame.last_ms for frame in frames), default=None))
    name = f"{segment.instance}.{segment.number}"
    return f"{name:16} {records:>10,} {size_bytes:>14,}  {first:8}  {last:8}"


def _clock(time_ms: int | None) -> str:
    return "-" if time_ms is None else f"{datetime.fromtimestamp(time_ms / 1000, UTC):%H:%M:%S}"
