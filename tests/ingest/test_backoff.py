"""Pauses of ingest after failures."""

import pytest

from ingest.backoff import pause_s


def test_pauses_grow_are_capped_and_jittered() -> None:
    assert [pause_s(failures, 0.0) for failures in range(1, 7)] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0]
    assert pause_s(10_000, 0.0) == 5.0
    assert pause_s(6, 0.999) == pytest.approx(6.25, abs=0.01)


def test_what_the_server_asks_for_is_heeded_up_to_the_cap() -> None:
    assert pause_s(1, 0.0, retry_after_s=2) == 2
    assert pause_s(1, 0.999, retry_after_s=2) == pytest.approx(2.5, abs=0.01)
    assert pause_s(1, 0.0, retry_after_s=3600) == 5.0
    assert pause_s(6, 0.0, retry_after_s=2) == 5.0
