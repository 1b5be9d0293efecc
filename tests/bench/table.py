"""Figures as a table for a terminal of 80 columns. Pure."""

from collections.abc import Iterable

from tests.bench.figure import Figure

_NAME, _MEASURED, _TARGET = 36, 22, 20
HEAD = f"{'figure':<{_NAME}} {'measured':<{_MEASURED}} {'target':<{_TARGET}}".rstrip()
RULE = f"{'-' * _NAME} {'-' * _MEASURED} {'-' * _TARGET}"


def line(figure: Figure) -> str:
    """Return one figure's line."""
    return f"{figure.name:<{_NAME}} {figure.measured:<{_MEASURED}} {figure.target}".rstrip()


def table(figures: Iterable[Figure]) -> str:
    """Return all of them under a head."""
    return "\n".join([HEAD, RULE, *(line(figure) for figure in figures)])
