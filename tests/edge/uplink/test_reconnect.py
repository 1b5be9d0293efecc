"""When the broker is tried again and what is said meanwhile, on a clock that the tests move."""

from collections.abc import Iterable

from edge.uplink.connect_errors import unreached
from edge.uplink.link_end import Cause, End, closed, refused
from edge.uplink.reconnect import LogLine, Reconnects

AWAY = unreached(ConnectionRefusedError(111, "Connection refused"))
CLOSED = closed(128, "Unspecified error", by_broker=False, was_accepted=True, client_id="zonewise-demo-gw-1")
DAY_S = 86_400.0


def reconnects() -> Reconnects:
    return Reconnects(broker="broker:8883", client_id="zonewise-demo-gw-1")


def texts(lines: Iterable[LogLine | None]) -> list[str]:
    return [line.text for line in lines if line is not None]


def try_for_a_day(one: Reconnects, end: End) -> tuple[list[LogLine | None], int]:
    """Meet the same end at each try; gives the lines and the number of tries."""
    lines, now_s = [], 0.0
    tries = 0
    while now_s < DAY_S:
        lines.append(one.down(end, now_s=now_s))
        now_s += one.pause_s(0.0)
        tries += 1
    return lines, tries


def test_a_broker_that_is_away_for_a_day_gives_two_lines() -> None:
    one = reconnects()
    lines, tries = try_for_a_day(one, AWAY)
    assert one.problem == "Connection refused"
    lines.append(one.up(now_s=DAY_S))
    assert texts(lines) == [
        "no connection to the broker at broker:8883: Connection refused (trying again, with growing pauses)",
        f"connected to the broker at broker:8883 after 86400 s (tries: {tries + 1})",
    ]
    assert one.problem == ""


def test_a_wrong_password_is_tried_once_a_minute() -> None:
    one = reconnects()
    lines, tries = try_for_a_day(one, refused(135, "Not authorized", maybe_user="demo.gw-1"))
    assert len(texts(lines)) == 1
    assert "the broker refuses user 'demo.gw-1': Not authorized; check username and password" in one.problem
    assert tries < DAY_S / 60 + 10


def test_another_cause_is_another_line_and_each_only_once() -> None:
    one = reconnects()
    ends = [AWAY, unreached(TimeoutError()), AWAY, unreached(TimeoutError())]
    assert len(texts(one.down(end, now_s=0) for end in ends)) == 2


def flap(one: Reconnects, times: int, *, end: End = CLOSED) -> tuple[list[LogLine | None], float]:
    lines, now_s = [], 0.0
    for _ in range(times):
        lines.append(one.up(now_s=now_s))
        lines.append(one.down(end, now_s=now_s + 1))
        now_s += 1 + one.pause_s(0.0)
    return lines, now_s


def test_a_copy_of_the_gateway_is_guessed_told_and_met_less_and_less_often() -> None:
    one = reconnects()
    lines, now_s = flap(one, 20)
    first, *_, last = texts(lines)
    assert first == "connected to the broker at broker:8883"
    assert "another client most likely connects as 'zonewise-demo-gw-1'" in last
    assert len(texts(lines)) == 5
    assert one.pause_s(0.0) == 60.0
    assert one.up(now_s=now_s) is None
    assert "each gateway needs an id of its own" in one.problem
    stable = one.stable()
    assert stable is not None
    assert not stable.is_warning
    assert one.problem == ""
    one.down(CLOSED, now_s=now_s + 1000)
    assert one.pause_s(0.0) == 0.5
    assert one.problem == "the connection was closed without a reason"


def test_a_broker_that_names_the_other_client_is_believed_at_once() -> None:
    one = reconnects()
    end = closed(142, "Session taken over", by_broker=True, was_accepted=True, client_id="zonewise-demo-gw-1")
    flap(one, 1, end=end)
    assert "another client has connected as 'zonewise-demo-gw-1'" in one.problem


def test_a_broker_that_is_started_again_and_again_is_no_other_client() -> None:
    one, now_s = reconnects(), 0.0
    for _ in range(10):
        one.up(now_s=now_s)
        one.down(CLOSED, now_s=now_s + 5)
        one.down(AWAY, now_s=now_s + 6)
        now_s += 10
        assert one.pause_s(0.0) <= 1.0
    assert one.problem == "Connection refused"


def test_what_the_broker_says_at_the_end_is_told() -> None:
    one = reconnects()
    one.up(now_s=0)
    text = "Server shutting down"
    one.down(closed(139, text, by_broker=True, was_accepted=True, client_id="c"), now_s=1)
    assert one.problem == "the broker ended the connection: Server shutting down"


def test_an_end_before_the_beginning_hints_at_tls() -> None:
    end = closed(128, "Unspecified error", by_broker=False, was_accepted=False, client_id="c")
    assert end.cause is Cause.UNREACHED
    assert "TLS" in end.text
