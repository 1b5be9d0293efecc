"""`python -m tests.bench [NAME...]`: measure what DESIGN 8 asks for, print a table, write the page.

Contract: nothing is asserted about time. A measurement that cannot be done (a server is missing, a port is
taken) is named and the others go on; the exit code is then 1.
"""

import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.bench.figure import Bench, Figure
from tests.bench.machine import describe
from tests.bench.page import page, renewed
from tests.bench.suite import SUITE, UNMEASURED
from tests.bench.table import HEAD, RULE, line

_PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
_LOGGER = logging.getLogger(__name__)

Group = tuple[str, Sequence[Figure]]


@click.command(
    epilog="Example: python -m tests.bench decode outbox. Names: " + ", ".join(one.name for one in SUITE)
)
@click.argument("names", nargs=-1, type=click.Choice([one.name for one in SUITE]), metavar="[NAME]...")
@click.option("--write", is_flag=True, help="Write docs/performance.md, or only what is named in it.")
def main(names: tuple[str, ...], *, write: bool) -> None:
    """Measure everything, or what is named, and print a table."""
    machine = describe()
    click.echo("\n".join([*(f"{name}: {text}" for name, text in machine), "", HEAD, RULE]))
    failed: list[str] = []
    groups = [_run(one, failed) for one in SUITE if one.name in (names or one.name)]
    if write and not failed:
        day = datetime.now(UTC).date().isoformat()
        groups = [group for group in groups if group[1]]
        note = f"Measured on {day}; {', '.join(f'{name.lower()}: {text}' for name, text in machine)}."
        before = _PAGE.read_text(encoding="utf-8")
        text = renewed(before, note, groups) if names else page(day, machine, groups, UNMEASURED)
        _PAGE.write_text(text, encoding="utf-8")
        click.echo(f"\nwritten: {_PAGE.relative_to(_PAGE.parents[1])}")
    if failed:
        click.echo(f"\nnot measured: {', '.join(failed)}", err=True)
        sys.exit(1)


def _run(bench: Bench, failed: list[str]) -> Group:
    figures: list[Figure] = []
    with _told(bench):
        try:
            for figure in _measured(bench):
                figures.append(figure)
                _say(line(figure))
        except Exception:  # supervision: one measurement never stops the others
            _LOGGER.exception("%s cannot be measured", bench.name)
            failed.append(bench.name)
    return bench.about, figures


def _measured(bench: Bench) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix=f"zonewise-bench-{bench.name}-") as folder:
        yield from bench.measure(Path(folder))


@contextmanager
def _told(bench: Bench) -> Iterator[None]:
    """Say on a terminal what is going on, and how long it took."""
    started_s = time.monotonic()
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{bench.name}: {bench.about} ...", nl=False, err=True)
    yield
    _say(f"{'':<36} ({bench.name}: {time.monotonic() - started_s:.0f} s)")


def _say(text: str) -> None:
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    click.echo(text)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    main()
