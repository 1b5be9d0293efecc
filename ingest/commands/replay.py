"""`zonewise-ingest journal replay` and `zonewise-ingest quarantine replay`."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import click

from ingest.clock.clocks import SystemClocks, guarded_clock
from ingest.clock.rules import latest_time_ms
from ingest.commands.options import believe_clock_option, config_option, park_option
from ingest.config import IngestConfig, load_config
from ingest.journal.quarantine import Quarantine
from ingest.journal.quarantine_entry import unresolved
from ingest.journal.reader import JournalReader
from ingest.pipeline.replay import (
    Figures,
    Now,
    in_order_of_receipt,
    registry_for_replay,
    replay_instance,
    replay_journal,
    replay_quarantine,
    replay_writer,
)
from ingest.pipeline.writer import ParkWriter
from ingest.store.contract import Store
from ingest.store.influx import open_store
from ingest.validation.messages import MessageValidator
from ingest.validation.stored_registry import load_registry
from metering.park.file import load_parks
from metering.park.model import Park

_DAY = click.DateTime(["%Y-%m-%d"])
_PROGRESS_EVERY_S = 1.0
_PROGRESS_WITHOUT_TERMINAL_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class _Site:
    """What a replay works on."""

    config: IngestConfig
    parks: tuple[Park, ...]
    store: Store
    reader: JournalReader
    now: Now


@contextmanager
def _site(config_path: Path, maybe_park: str | None, *, believes_clock: bool) -> Iterator[_Site]:
    config = load_config(config_path)
    parks = load_parks(config.parks)
    if maybe_park is not None and maybe_park not in parks:
        raise click.BadParameter(f"no park {maybe_park!r}; there is {', '.join(parks)}", param_hint="--park")
    reader = JournalReader(config.journal_folder)
    now = guarded_clock(config, SystemClocks(), reader, is_believed=believes_clock)
    now()
    store = open_store(config.store)
    try:
        chosen = tuple(parks.values()) if maybe_park is None else (parks[maybe_park],)
        yield _Site(config, chosen, store, reader, now)
    finally:
        store.close()


@click.command()
@config_option
@park_option
@click.option("--from", "maybe_from", type=_DAY, metavar="DAY", help="First day of receipt, in UTC.")
@click.option("--to", "maybe_to", type=_DAY, metavar="DAY", help="Last day of receipt, in UTC.")
@believe_clock_option
def journal_replay(
    *,
    config_path: Path,
    maybe_park: str | None,
    maybe_from: datetime | None,
    maybe_to: datetime | None,
    believes_clock: bool,
) -> None:
    """Write to InfluxDB what the journal holds, validated again.

    Points that are there already stay as they are. Into empty databases
    (after zonewise-ingest init) it brings the same points again. It may run
    beside zonewise-ingest run.

    \b
    Examples:
      zonewise-ingest journal replay --config ingest.yaml
      zonewise-ingest journal replay --park demo --from 2026-11-01
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    first, last = (None if one is None else one.date() for one in (maybe_from, maybe_to))
    with _site(config_path, maybe_park, believes_clock=believes_clock) as site:
        for park in site.parks:
            figures = asyncio.run(_replay_park(site, park, first, last))
            click.echo(
                f"{park.id}: {figures.records} messages, {figures.rows} rows and {figures.points} points"
                " of `meters` written"
            )
            for reason, rows in figures.refused.most_common():
                click.echo(f"  {rows} rows not: {reason}")


async def _replay_park(site: _Site, park: Park, first: date | None, last: date | None) -> Figures:
    from_the_start = first is None and site.config.journal.keep_days is None
    registry = registry_for_replay(site.store, park, from_the_start=from_the_start)
    records = in_order_of_receipt(site.reader, park.id, first_day=first, last_day=last)
    validator = MessageValidator(park, registry)
    return await replay_journal(
        records, validator, _writer(site, park), progress=_Progress(park.id), now=site.now
    )


def _writer(site: _Site, park: Park) -> ParkWriter:
    since_ms = latest_time_ms(site.reader.maybe_newest_ms(park.id), site.now())
    return replay_writer(site.store, park.id, site.config.instance, now=site.now, since_ms=since_ms)


class _Progress:
    """Prints the figures on standard error, now and then."""

    def __init__(self, park: str) -> None:
        self._park = park
        self._is_terminal = sys.stderr.isatty()
        self._last_s = time.monotonic()

    def __call__(self, figures: Figures) -> None:
        every_s = _PROGRESS_EVERY_S if self._is_terminal else _PROGRESS_WITHOUT_TERMINAL_EVERY_S
        if time.monotonic() - self._last_s < every_s:
            return
        self._last_s = time.monotonic()
        received = datetime.fromtimestamp(figures.last_ms / 1000, UTC)
        text = f"{self._park}: {figures.records} messages, {figures.rows} rows, at {received:%Y-%m-%d %H:%M}"
        click.echo(f"\r{text}" if self._is_terminal else text, err=True, nl=not self._is_terminal)


@click.command()
@config_option
@park_option
@click.option("--reason", "maybe_reason", help="What was set aside for this reason only.")
@believe_clock_option
def quarantine_replay(
    *, config_path: Path, maybe_park: str | None, maybe_reason: str | None, believes_clock: bool
) -> None:
    """Validate again what is in the quarantine, and write what is good now.

    For after a correction: of a park description, of a database, or of
    zonewise itself. What is written is marked as resolved.

    \b
    Example:
      zonewise-ingest quarantine replay --reason foreign_meter
    """  # noqa: D301 - click's mark for "do not wrap", not an escape
    with _site(config_path, maybe_park, believes_clock=believes_clock) as site:
        for park in site.parks:
            asyncio.run(_retry_park(site, park, maybe_reason))


async def _retry_park(site: _Site, park: Park, maybe_reason: str | None) -> None:
    instance = replay_instance(site.config.instance)
    with Quarantine(site.config.quarantine_folder, instance=instance) as quarantine:
        entries = [
            entry for entry in unresolved(quarantine.read(park.id)) if maybe_reason in (None, entry.reason)
        ]
        retried = await replay_quarantine(
            entries,
            site.reader,
            MessageValidator(park, load_registry(site.store, park)),
            _writer(site, park),
            quarantine,
            now=site.now,
        )
    click.echo(f"{park.id}: {retried.rows} rows of {retried.entries} entries written")
    for reason, count in retried.left.most_common():
        click.echo(f"  {count} entries stay: {reason}")
