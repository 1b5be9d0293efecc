"""Events: opened, repeated, closed; without I/O."""

from ingest.events.open_events import KINDS, REPEAT_MS, Event, OpenEvents
from ingest.events.texts import catalogue

T0 = 1_790_000_000_000
FACTS = {"gateway": "gw-1"}


def states(book: OpenEvents, now_ms: int) -> list[tuple[bool, int]]:
    return [(one.is_open, one.time_ms) for one in book.take(now_ms)]


def test_an_event_is_told_when_it_opens_each_quarter_of_an_hour_and_when_it_closes() -> None:
    book = OpenEvents()
    book.open("gateway_offline", "gw-1", FACTS, T0)
    book.open("gateway_offline", "gw-1", FACTS, T0 + 5)
    assert states(book, T0 + 10) == [(True, T0)]
    assert states(book, T0 + REPEAT_MS - 1) == []
    assert states(book, T0 + REPEAT_MS) == [(True, T0 + REPEAT_MS)]
    assert states(book, T0 + REPEAT_MS + 1) == []
    book.close("gateway_offline", "gw-1", T0 + REPEAT_MS + 2)
    book.close("gateway_offline", "gw-1", T0 + REPEAT_MS + 3)
    assert states(book, T0 + 9 * REPEAT_MS) == [(False, T0 + REPEAT_MS + 2)]


def test_what_nobody_has_said_again_for_a_while_is_closed() -> None:
    book = OpenEvents()
    book.open("foreign_meter", "gw-1", FACTS, T0)
    book.open("foreign_meter", "gw-2", FACTS, T0)
    book.open("foreign_meter", "gw-2", FACTS, T0 + 100)
    book.close_older("foreign_meter", T0 + 50, T0 + 100)
    assert [one.subject for one in book.opened()] == ["gw-2"]


def test_an_adopted_event_is_not_told_again_at_once_and_can_be_closed() -> None:
    book = OpenEvents()
    book.adopt(Event("gateway_offline", "gw-1", {}, is_open=True, time_ms=T0))
    assert states(book, T0 + 1) == []
    book.close("gateway_offline", "gw-1", T0 + 2)
    assert states(book, T0 + 3) == [(False, T0 + 2)]


def test_each_kind_has_a_text_and_missing_parameters_do_no_harm() -> None:
    assert set(catalogue().events) >= set(KINDS)
    for kind in KINDS:
        assert Event(kind, "x", {}, is_open=True, time_ms=T0).text
    assert "gw-1" in Event("gateway_offline", "gw-1", FACTS, is_open=True, time_ms=T0).text


def test_the_line_of_an_event() -> None:
    line = Event("gateway_offline", "gw-1", FACTS, is_open=True, time_ms=T0).line("demo").decode()
    assert line == (
        r'event,kind=gateway_offline,park=demo,subject=gw-1 state=1i,parameters="{\"gateway\":\"gw-1\"}",'
        f'text_en="Gateway gw-1 has lost its connection to the broker." {T0}'
    )
