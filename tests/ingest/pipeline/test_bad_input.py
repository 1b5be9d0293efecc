"""Bad input through a real broker into a real InfluxDB: each gets its reason, and the next good message passes."""

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from ingest.journal.quarantine import Quarantine
from ingest.receive.subscriber import RECEIVE_MAXIMUM
from metering.readings import ReadingFlag
from tests.ingest.running_ingest import EPOCH, Gateway, body, gateway, now_ms, page, points, running, tags
from tests.system.chain import Chain, wait_until

pytestmark = pytest.mark.servers


@dataclass
class Station:
    """A running ingest with a gateway; messages are numbered."""

    park: Chain
    gateway: Gateway
    seq: int = 0

    def next_seq(self) -> int:
        """Number a message."""
        self.seq += 1
        return self.seq

    def row(self, meter: str = "m-1", **changes: object) -> list[Any]:
        """Return a good row, each with a time of its own."""
        row = {
            "meter": meter,
            "taken": now_ms(),
            "quality": 0,
            "energy": 1000 + self.seq,
            "power": 1.5,
            "volt": 230.0,
        }
        return list({**row, **changes}.values())

    def good_passes(self) -> None:
        """A good message goes through."""
        seq = self.next_seq()
        self.gateway.send_rows(seq, [self.row("m-2")])
        ack = self.gateway.wait_ack(seq)
        assert (seq, self.gateway.reasons(seq)) == (seq, [])
        assert ack["rows_stored"] >= 1

    def good_passes_when_sent_again(self) -> None:
        """A good message goes through, sent again as gateways do: behind a flood of their own the first is discarded."""
        seq = self.next_seq()
        message = body(seq, [self.row("m-2")])

        def is_acknowledged() -> bool:
            self.gateway.send(message, tags(seq, 1))
            self.gateway.heard.wait(0.5)
            return self.gateway.maybe_ack(seq) is not None

        wait_until("a good message is acknowledged", is_acknowledged)

    def quarantined(self, reason: str) -> int:
        """Count the rows in the quarantine for a reason."""
        return Quarantine(self.park.folder / "data" / "quarantine").rows_by_reason("demo")[reason]


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    meters = {
        "m-1": {"medium": "electricity", "place": "z1"},
        "m-2": {"medium": "electricity", "place": "z1"},
        "m-other": {"medium": "electricity", "place": "z1", "gateway": "gw-2"},
    }
    with ExitStack() as stack:
        park = stack.enter_context(running(tmp_path_factory.mktemp("bad"), meters=meters))
        yield Station(park, stack.enter_context(gateway(park.broker.port)))


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


WHOLE: dict[str, tuple[str, Callable[[Station, int], bytes]]] = {
    "broken JSON": ("not_json", lambda s, seq: body(seq, [s.row()])[:-1]),
    "empty": ("not_json", lambda _s, _seq: b""),
    "a million open brackets": ("not_json", lambda _s, _seq: b"[" * 100_000),
    "deeply nested": ("not_json", lambda _s, _seq: deep(50_000)),
    "not an object": ("bad_envelope", lambda _s, _seq: b"[1]"),
    "wrong schema number": ("wrong_schema", lambda s, seq: body(seq, [s.row()], schema=2)),
    "schema true": ("wrong_schema", lambda s, seq: body(seq, [s.row()], schema=True)),
    "another gateway": ("gateway_mismatch", lambda s, seq: body(seq, [s.row()], gateway="gw-2")),
    "another seq": ("id_mismatch", lambda s, seq: body(seq + 1000, [s.row()])),
    "invalid UTF-8": ("invalid_utf8", lambda s, seq: body(seq, [s.row()]).replace(b"gw-1", b"gw-\xff")),
    "deflate bomb": ("too_large", lambda _s, _seq: zlib.compress(b" " * 50_000_000)),
    "broken deflate": ("bad_deflate", lambda s, seq: zlib.compress(body(seq, [s.row()]))[:-10]),
    "above 128 KiB": ("too_large", lambda s, seq: body(seq, [s.row()]) + b" " * 200_000),
    "blocks of text": ("bad_envelope", lambda s, seq: body(seq, [s.row()], blocks="none")),
    "a quantity twice": ("bad_envelope", lambda s, seq: body(seq, [s.row()], quantities=["power_w"] * 3)),
}


@pytest.mark.parametrize("case", WHOLE)
def test_an_unusable_message_is_set_aside_and_acknowledged(station: Station, case: str) -> None:
    reason, make = WHOLE[case]
    seq, before = station.next_seq(), station.quarantined(reason)
    station.gateway.send(make(station, seq), tags(seq, 3))
    station.gateway.wait_ack(seq)
    assert station.gateway.reasons(seq) == [(3, reason)]
    assert station.quarantined(reason) == before + 3
    station.good_passes()


ROWS: dict[str, tuple[str, Callable[[Station], Any]]] = {
    "foreign meter": ("foreign_meter", lambda s: s.row("m-other")),
    "before 2020": ("absurd_time", lambda s: s.row(taken=1_577_836_799_999)),
    "an hour ahead": ("absurd_time", lambda s: s.row(taken=now_ms() + 3_600_000)),
    "too few columns": ("wrong_column_count", lambda s: s.row()[:-1]),
    "too many columns": ("wrong_column_count", lambda s: [*s.row(), 1.0]),
    "no list": ("bad_row", lambda _s: {"meter": "m-1"}),
    "an empty row": ("bad_row", lambda _s: []),
    "a meter that is no id": ("bad_row", lambda s: s.row("m 1,park=other\nx y=1")),
    "a number for a meter": ("bad_row", lambda s: s.row(7)),
    "text for a time": ("bad_row", lambda s: s.row(taken="now")),
    "true for a quality": ("bad_row", lambda s: s.row(quality=True)),
    "a negative quality": ("bad_row", lambda s: s.row(quality=-1)),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_bad_row_is_set_aside_and_its_neighbours_are_stored(station: Station, case: str) -> None:
    reason, make = ROWS[case]
    seq, before = station.next_seq(), station.quarantined(reason)
    station.gateway.send_rows(seq, [station.row("m-1"), make(station), station.row("m-2")])
    station.gateway.wait_ack(seq)
    assert station.gateway.reasons(seq) == [(1, reason)]
    assert station.quarantined(reason) == before + 1
    station.good_passes()


def test_a_water_row_of_an_electricity_meter_is_set_aside(station: Station) -> None:
    seq = station.next_seq()
    station.gateway.send_rows(seq, [["m-1", now_ms(), 0, 5]], medium="water", quantities=["volume_l"])
    station.gateway.wait_ack(seq)
    assert station.gateway.reasons(seq) == [(1, "wrong_medium")]
    (park,) = json.loads(page(station.park, "/status")[1])
    assert ["wrong_medium", "gw-1"] in park["open_events"]
    station.good_passes()


@pytest.mark.parametrize("seq", ["1_0", "\u0663", "+7"])
def test_a_seq_that_is_not_written_in_digits_is_no_seq(station: Station, seq: str) -> None:
    before, acks = count_whole(station, "not_json"), len(station.gateway.acks)
    station.gateway.send(b"{", [("epoch", EPOCH), ("seq", seq), ("rows", "1")])
    wait_until("it is in the quarantine", lambda: count_whole(station, "not_json") == before + 1)
    assert len(station.gateway.acks) == acks
    station.good_passes()


def test_an_unknown_medium_is_set_aside(station: Station) -> None:
    seq = station.next_seq()
    station.gateway.send_rows(seq, [station.row(), station.row("m-2")], medium="steam")
    station.gateway.wait_ack(seq)
    assert station.gateway.reasons(seq) == [(2, "unknown_medium")]
    station.good_passes()


VALUES: dict[str, tuple[ReadingFlag, dict[str, Any]]] = {
    "text": (ReadingFlag.NOT_A_NUMBER, {"power": "1.5"}),
    "true": (ReadingFlag.NOT_A_NUMBER, {"power": True}),
    "NaN": (ReadingFlag.NOT_A_NUMBER, {"power": float("nan")}),
    "a counter of 12.7": (ReadingFlag.NOT_WHOLE, {"energy": 12.7}),
    "infinity": (ReadingFlag.NOT_A_NUMBER, {"power": float("inf")}),
    "a list": (ReadingFlag.NOT_A_NUMBER, {"power": [1.5]}),
    "too large": (ReadingFlag.OUT_OF_RANGE, {"power": 1e9}),
    "far too large": (ReadingFlag.OUT_OF_RANGE, {"power": 10**30}),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_bad_value_is_nulled_with_its_bit_and_the_row_is_stored(station: Station, case: str) -> None:
    flag, changes = VALUES[case]
    row = station.row(**changes)
    seq = station.next_seq()
    station.gateway.send_rows(seq, [row])
    station.gateway.wait_ack(seq)
    assert station.gateway.reasons(seq) == []
    (stored,) = [one for one in points(station.park, "electricity") if one["time"] == row[1]]
    assert stored["quality"] == flag
    nulled, kept = ("active_power_w", "energy_import_wh")[:: 1 if "power" in changes else -1]
    assert nulled not in stored
    assert stored[kept] == row[3 if kept == "energy_import_wh" else 4]
    station.good_passes()


def test_an_unknown_quantity_is_nulled_and_the_others_are_stored(station: Station) -> None:
    seq, row = station.next_seq(), station.row()
    names = ["energy_import_wh", 'x,y="\n', "volume_l"]
    station.gateway.send_rows(seq, [row], quantities=names)
    station.gateway.wait_ack(seq)
    (stored,) = [one for one in points(station.park, "electricity") if one["time"] == row[1]]
    assert stored["quality"] == ReadingFlag.UNKNOWN_QUANTITY
    assert {key for key in stored if key.endswith(("_l", "y"))} <= {"quality"}
    station.good_passes()


def test_a_message_without_readable_ids_is_set_aside_and_not_acknowledged(station: Station) -> None:
    before, acks = count_whole(station, "not_json"), len(station.gateway.acks)
    station.gateway.send(b"{", [("epoch", "x")])
    wait_until("it is in the quarantine", lambda: count_whole(station, "not_json") == before + 1)
    assert len(station.gateway.acks) == acks
    station.good_passes()


@pytest.mark.parametrize("payload", [b"{", body(10**30, [["m-1", 0, 0, float("nan"), 1, 1]])])
def test_a_seq_beyond_all_bounds_is_set_aside_and_not_acknowledged(station: Station, payload: bytes) -> None:
    reason = "not_json" if payload == b"{" else "bad_envelope"
    before, acks = count_whole(station, reason), len(station.gateway.acks)
    station.gateway.send(payload, tags(10**30, 1))
    wait_until("it is in the quarantine", lambda: count_whole(station, reason) == before + 1)
    assert len(station.gateway.acks) == acks
    station.good_passes()


def test_a_bad_birth_is_set_aside(station: Station) -> None:
    before = count_whole(station, "bad_envelope")
    station.gateway.send(json.dumps({"schema": 1, "gateway": "gw-1"}).encode(), kind="birth")
    wait_until("it is in the quarantine", lambda: count_whole(station, "bad_envelope") == before + 1)
    station.good_passes()


def count_whole(station: Station, reason: str) -> int:
    entries = Quarantine(station.park.folder / "data" / "quarantine").read("demo", reason=reason)
    return sum(entry.rows is None for entry in entries)


def test_a_payload_of_ten_megabytes_never_reaches_ingest(station: Station) -> None:
    def received() -> list[str]:
        return [
            line
            for line in page(station.park, "/metrics")[1].splitlines()
            if "messages_received_total{" in line
        ]

    station.good_passes()
    before = received()
    station.gateway.send(b" " * 10_000_000, tags(station.next_seq(), 1))
    assert received() == before
    station.good_passes()


def test_bad_statuses_and_topics_harm_nothing(station: Station) -> None:
    station.gateway.send(b"\xff", kind="status")
    station.gateway.client.publish("zonewise/v1/demo/NO_ID/data", b"x", qos=1).wait_for_publish(20)
    wait_until(
        "both are counted",
        lambda: all(
            f'{name}{{park="demo"}} 1.0' in page(station.park, "/metrics")[1]
            for name in ("zonewise_ingest_statuses_unreadable_total", "zonewise_ingest_messages_stray_total")
        ),
    )
    station.good_passes()


@pytest.mark.parametrize("kind", ["status", "birth", "data"])
def test_more_nested_messages_than_may_wait_for_a_puback_stop_nothing(station: Station, kind: str) -> None:
    whole = {"schema": 1, "gateway": "HERE", "epoch": EPOCH, "time_ms": now_ms(), "software": "t"}
    nested = json.dumps(whole).replace('"HERE"', deep(1000).decode()).encode()
    for _ in range(RECEIVE_MAXIMUM + 100):
        station.gateway.publish(nested, kind=kind)
    station.good_passes_when_sent_again()
    (park,) = json.loads(page(station.park, "/status")[1])
    assert (park["withheld"], park["problems"]) == (0, [])


def test_bad_statuses_are_counted_and_named_in_the_log_once(station: Station) -> None:
    def counted() -> int:
        (park,) = json.loads(page(station.park, "/status")[1])
        return int(park["unreadable_statuses"].get("gw-1", 0))

    before, lines = counted(), station.park.programs["ingest"].log.count("statuses of gw-1 cannot be read")
    for _ in range(50):
        station.gateway.send(b'{"schema":1.0}', kind="status")
    wait_until("all are counted", lambda: counted() == before + 50)
    assert station.park.programs["ingest"].log.count("statuses of gw-1 cannot be read") <= max(lines, 1)


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_on_every_topic_stop_nothing(station: Station, seed: int) -> None:
    """More than may wait for a PUBACK, of each kind: one that is never sent would stop the park."""
    jitter = Random(seed)
    good = body(1, [station.row()])
    for number in range(4 * RECEIVE_MAXIMUM):
        kind = jitter.choice(["data", "birth", "status", "status", "birth"])
        payload = damaged(good, jitter)
        station.gateway.publish(payload, tags(10_000 + number, 1) if jitter.random() < 0.5 else (), kind=kind)
    station.good_passes_when_sent_again()
    (park,) = json.loads(page(station.park, "/status")[1])
    assert (park["withheld"], park["problems"]) == (0, [])


def damaged(good: bytes, jitter: Random) -> bytes:
    """Return bytes that are nearly a message of ours, or far from it."""
    match jitter.randrange(5):
        case 0:
            return jitter.randbytes(jitter.randrange(200))
        case 1:
            at = jitter.randrange(len(good))
            return good[:at] + jitter.randbytes(3) + good[at + 3 :]
        case 2:
            levels = jitter.randrange(1100)
            word = jitter.choice([b'"gw-1"', b"0", b"null", b"230.0", b"[]"])
            return good.replace(word, b"[" * levels + b"]" * levels)
        case 3:
            told = {"schema": 1, "gateway": "gw-1", "epoch": EPOCH, "time_ms": now_ms(), "software": "t"}
            told |= {"online": True, "clean_stop": None, "accounts": [], "counters": {}, "meters": {}}
            key = jitter.choice(sorted(told))
            values = [None, 1.5, -1, 10**40, "x" * 5000, [], {}, True, [[]] * 50, {"a": {"b": [1e400]}}]
            return json.dumps({**told, key: jitter.choice(values)}).encode()
        case _:
            return zlib.compress(good[: jitter.randrange(len(good))])


def test_at_the_end_every_row_is_accounted_for(station: Station) -> None:
    station.good_passes()
    (park,) = json.loads(page(station.park, "/status")[1])
    account = park["gateways"]["gw-1"]
    assert (
        account["received"] == account["written"] + sum(account["quarantined"].values()) + account["pending"]
    )
    assert account["pending"] == 0
    assert park["problems"] == []
