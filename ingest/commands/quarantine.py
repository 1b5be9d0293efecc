"""`zonewise-ingest quarantine list|replay`."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import click

from ingest.commands.options import config_option, park_option
from ingest.commands.replay import quarantine_replay
from ingest.config import load_config
from ingest.journal.quarantine import Quarantine
from ingest.journal.quarantine_entry import QuarantineEntry, unresolved

_WIDTH = 80


@click.group()
def command() -> None:
    """Look at what was set aside instead of stored, or try to store it again.

    \b
    Examples:
      zonewise-ingest quarantine list --config ingest.yaml
      zonewise-ingest quarantine replay --reason foreign_meter
    """  # noqa: D301 - click's mark for "do not wrap", not an escape


command.add_command(quarantine_replay, "replay")


@command.command("list")
@config_option
@park_option
@click.option("--reason", "maybe_reason", help="This reason only.")
@click.option(
    "--since",
    "maybe_since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="Received since then, in UTC.",
)
@click.option("--last", type=click.IntRange(min=1), default=50, show_default=True, help="Lines per park.")
def list_entries(
    *,
    config_path: Path,
    maybe_park: str | None,
    maybe_reason: str | None,
    maybe_since: datetime | None,
    last: int,
) -> None:
    """List what is in the quarantine, and count the rows by reason.

    What a replay has stored since is not shown.

    \b
    Examples:
      zonewise-ingest quarantine list --config ingest.yaml
      zonewise-ingest quarantine list --park demo --reason foreign_meter \\
        --since 2026-11-23
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    quarantine = Quarantine(load_config(config_path).quarantine_folder)
    since_ms = None if maybe_since is None else round(maybe_since.replace(tzinfo=UTC).timestamp() * 1000)
    found = False
    for park in quarantine.parks() if maybe_park is None else (maybe_park,):
        # What is resolved says so in a later entry, which has a reason of its own: filter afterwards.
        entries = tuple(
            entry
            for entry in unresolved(quarantine.read(park, since_ms=since_ms))
            if maybe_reason in (None, entry.reason)
        )
        found = found or bool(entries)
        _list_park(park, entries, last)
    if not found:
        click.echo("Nothing is in the quarantine.")


def _list_park(park: str, entries: tuple[QuarantineEntry, ...], last: int) -> None:
    if not entries:
        return
    click.echo(f"{park}: {sum(entry.row_count for entry in entries)} rows set aside (times in UTC)")
    click.echo(f"  {'received':19}  {'gateway':14} {'rows':>6}  reason: detail")
    if len(entries) > last:
        click.echo(f"  ... {len(entries) - last} earlier ones (--last shows more)")
    for entry in entries[-last:]:
        click.echo(_line(entry))
    rows_by_reason: Counter[str] = Counter()
    for entry in entries:
        rows_by_reason[entry.reason] += entry.row_count
    for reason, rows in rows_by_reason.most_common():
        click.echo(f"  {rows} rows: {reason}")


def _line(entry: QuarantineEntry) -> str:
    received = datetime.fromtimestamp(entry.received_at_ms / 1000, UTC)
    text = f"{entry.reason}: {entry.detail}" if entry.detail else entry.reason
    # Details quote received bytes, which must not steer a terminal.
    harmless = "".join(one if one.isprintable() else "?" for one in text)
    line = f"  {received:%Y-%m-%d %H:%M:%S}  {entry.gateway or '-':14} {entry.row_count:>6}  {harmless}"
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
