"""docs/performance.md. Pure."""

import re
from collections.abc import Iterable, Sequence

from tests.bench.figure import Figure, Unmeasured

_INTRODUCTION = """\
# Performance

Written by `make bench BENCH=--write`; the figures are of one run on the machine below. They are measured, never
asserted: no test fails because a machine is slow. `make bench BENCH="NAME …"` repeats single ones.

Wall-clock figures depend on what else runs; processor time per value and shares hardly do, so compare those
between machines. Targets are the product's own (what "fast" and "small" mean for it).
"""


def page(
    day: str,
    machine: Iterable[tuple[str, str]],
    groups: Iterable[tuple[str, Sequence[Figure]]],
    unmeasured: Iterable[Unmeasured],
) -> str:
    """Return the page's text.

    Args:
        day: ISO date of the run.
        machine: Name and text of what matters about the machine.
        groups: Title of each measurement and its figures.
        unmeasured: What is left out.
    """
    facts = "\n".join(f"| {name} | {text} |" for name, text in machine)
    parts = [
        _INTRODUCTION,
        f"## Machine\n\n| | |\n|---|---|\n| Date | {day} |\n{facts}\n",
        *(_group(title, figures) for title, figures in groups),
        _left_out(unmeasured),
    ]
    return "\n".join(parts)


def renewed(before: str, note: str, groups: Iterable[tuple[str, Sequence[Figure]]]) -> str:
    """Return a page with some measurements in the place of those of before; new ones come last but one.

    Args:
        before: The page's text.
        note: When and where these were measured: the rest of the page is of another run.
        groups: Title of each measurement and its figures.
    """
    sections = re.split(r"(?m)^(?=## )", before)
    for title, figures in groups:
        heading, _, table = _group(title, figures).partition("\n\n")
        new = f"{heading}\n\n{note}\n\n{table}\n"
        found = [place for place, one in enumerate(sections) if one.startswith(f"{heading}\n")]
        if found:
            sections[found[0]] = new
        else:
            sections.insert(-1, new)
    return "".join(sections)


def _group(title: str, figures: Sequence[Figure]) -> str:
    rows = "\n".join(
        f"| {one.name} | {one.target or '-'} | {_measured(one)} | {one.how} |" for one in figures
    )
    return (
        f"## {title[:1].upper()}{title[1:]}\n\n"
        f"| figure | target | measured | how |\n|---|---|---|---|\n{rows}\n"
    )


def _measured(one: Figure) -> str:
    return f"**{one.measured}**" + (", missed" if one.maybe_met is False else "")


def _left_out(unmeasured: Iterable[Unmeasured]) -> str:
    rows = "\n".join(f"| {one.name} | {one.target} | {one.why} |" for one in unmeasured)
    return f"## Not measured at this stage\n\n| figure | target | why |\n|---|---|---|\n{rows}\n"
