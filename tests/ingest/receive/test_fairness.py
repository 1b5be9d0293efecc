"""One gateway that sends too much, or too much that must be set aside: the others do not notice."""

import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.journal.quarantine import Quarantine
from ingest.receive.shares import Shares
from metering.messages.data import WINDOW_BYTES, WINDOW_MESSAGES
from tests.ingest.running_ingest import Gateway, body, gateway, now_ms, page, points, running, tags
from tests.system.chain import Chain, wait_until

METERS = {f"m-{n}": {"medium": "electricity", "place": "z1", "gateway": f"gw-{n}"} for n in (1, 2)}


def message(gw: Gateway, seq: int, **changes: object) -> tuple[bytes, list[tuple[str, str]]]:
    """Return a message of a gateway with one row of its meter, and its properties."""
    row = {"meter": f"m-{gw.name[-1]}", "taken": now_ms() + seq, "quality": 0, "wh": seq, "w": 1.5, "v": None}
    return body(seq, [list({**row, **changes}.values())], gateway=gw.name), tags(seq, 1)


def status(park: Chain) -> dict[str, Any]:
    (found,) = json.loads(page(park, "/status")[1])
    return dict(found)


def account(park: Chain, name: str) -> dict[str, Any]:
    return dict(status(park)["gateways"].get(name, {"discarded": 0, "held_back": 0, "received": 0}))


@pytest.mark.servers
def test_a_gateways_share_of_the_queue_is_its_window(tmp_path: Path) -> None:
    with ExitStack() as stack:
        park = stack.enter_context(running(tmp_path, meters=METERS))
        good = stack.enter_context(gateway(park.broker.port, "gw-1"))
        flooding = stack.enter_context(gateway(park.broker.port, "gw-2"))
        park.influx.kill()
        flood = {seq: message(flooding, seq) for seq in range(1, 301)}
        for one in flood.values():
            flooding.send(*one)
        wait_until(
            "the rest is discarded", lambda: account(park, "gw-2")["discarded"] == 300 - WINDOW_MESSAGES
        )
        good.send(*message(good, 1))
        wait_until("the other's message has entered", lambda: account(park, "gw-1")["received"] == 1)
        park.influx.start()
        good.wait_ack(1)
        assert (account(park, "gw-1")["discarded"], status(park)["withheld"]) == (0, 0)
        assert ["too_many_messages", "gw-2"] in status(park)["open_events"]
        assert 'messages_discarded_total{gateway="gw-2",park="demo"} 236.0' in page(park, "/metrics")[1]
        assert park.programs["ingest"].log.count("Gateway gw-2 sends more than its window") == 1
        # What was discarded is not acknowledged, and is taken when it is sent again.
        assert sum(flooding.maybe_ack(seq) is not None for seq in flood) <= WINDOW_MESSAGES
        for first in range(1, 301, WINDOW_MESSAGES):
            window = range(first, min(first + WINDOW_MESSAGES, 301))
            for seq in window:
                flooding.send(*flood[seq])
            for seq in window:
                flooding.wait_ack(seq)
        assert len(points(park, "electricity")) == 301


def is_settled(park: Chain, gw: Gateway, seq: int) -> bool:
    return gw.maybe_ack(seq) is not None or account(park, gw.name)["held_back"] > 0


@pytest.mark.servers
def test_a_gateway_fills_its_own_quota_of_the_quarantine_and_no_more(tmp_path: Path) -> None:
    small = {"max_mb_per_gateway_and_day": 0.002}
    with ExitStack() as stack:
        park = stack.enter_context(running(tmp_path, meters=METERS, quarantine=small))
        good = stack.enter_context(gateway(park.broker.port, "gw-1"))
        bad = stack.enter_context(gateway(park.broker.port, "gw-2"))
        sent = 0
        while account(park, "gw-2")["held_back"] == 0:
            sent += 1
            bad.send(*message(bad, sent, meter="m-1"))
            wait_until("it is set aside or held back", partial(is_settled, park, bad, sent))
        assert 3 <= sent <= 10
        assert park.folder.joinpath("data/quarantine/demo").exists()
        folder = tmp_path / "data" / "quarantine"
        assert Quarantine(folder).rows_by_reason("demo")["foreign_meter"] == sent - 1
        # Only messages with rows to set aside are held back, and only those of this gateway.
        bad.send(*message(bad, 100))
        bad.wait_ack(100)
        good.send(*message(good, 1, meter="m-2"))
        good.wait_ack(1)
        assert good.reasons(1) == [(1, "foreign_meter")]
        code, text = page(park, "/healthz")
        assert (code, "Gateway gw-2 has used its 0.002 MB of the quarantine" in text) == (503, True)
        assert bad.maybe_ack(sent) is None
        # With room again the same message, which the gateway still holds, is taken.
        assert park.programs["ingest"].stop() == 0
        park.write_ingest()
        park.programs["ingest"].start()
        wait_until("ingest is back", lambda: park.programs["ingest"].log.count("broker connected") == 2)
        bad.send(*message(bad, sent, meter="m-1"))
        bad.wait_ack(sent)
        assert bad.reasons(sent) == [(1, "foreign_meter")]


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, WINDOW_BYTES + 10), st.booleans())))
def test_no_share_is_exceeded_and_all_of_it_can_be_used_again(actions: list[tuple[str, int, bool]]) -> None:
    shares = Shares()
    inside: dict[str, list[int]] = {"a": [], "b": []}
    for topic, size, gives_back in actions:
        if gives_back and inside[topic]:
            shares.give_back(topic, inside[topic].pop())
        elif shares.take(topic, size):
            inside[topic].append(size)
        else:
            is_full = len(inside[topic]) == WINDOW_MESSAGES or sum(inside[topic]) + size > WINDOW_BYTES
            assert is_full, "a message was refused although there was room"
        assert len(inside[topic]) <= WINDOW_MESSAGES
        assert len(inside[topic]) <= 1 or sum(inside[topic]) <= WINDOW_BYTES
    for topic, sizes in inside.items():
        for size in sizes:
            shares.give_back(topic, size)
        assert shares.take(topic, WINDOW_BYTES)
