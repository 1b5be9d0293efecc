"""The nearest known words. Pure."""

import difflib
from collections.abc import Iterable
from functools import lru_cache


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known words, or nothing."""
    near = _nearest(word, tuple(known))
    return f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else ""


# A file may contain the same mistake a thousand times.
@lru_cache(maxsize=64)
def _nearest(word: str, known: tuple[str, ...]) -> list[str]:
    return difflib.get_close_matches(word, known, n=3, cutoff=0.6)
