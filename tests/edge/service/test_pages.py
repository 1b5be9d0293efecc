"""The local pages, drawn from snapshots and served to a real HTTP client."""

import json
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge.batching.clock import Step
from edge.catalogue import models as catalogue
from edge.drivers.counts import Counts
from edge.drivers.missing import Missing, MissingRole, Use
from edge.drivers.modbus.profile import Function, Register
from edge.drivers.modbus.registers import Encoding, Layout
from edge.drivers.settings import BusConfig, DeviceConfig, Point, Serial
from edge.polling.health import BusState, DeviceState, Health
from edge.service import agent
from edge.service.agent import GatewayIdentity
from edge.service.pages import routes
from metering.messages.status import COUNTERS, GAUGES, EpochAccount
from metering.program.addresses import Address
from metering.program.local_http import serving

EPOCH = "0123456789abcdef"
SERVICE = agent.GatewaySnapshot(
    identity=GatewayIdentity("demo", "gw-1", EPOCH, "zonewise test"),
    connected=True,
    clock="trusted",
    waiting_rows=0,
    accounts=(EpochAccount(EPOCH, read=10, stored=7, quarantined=0, held=3, dropped=0),),
    counters={**dict.fromkeys(COUNTERS, 0), "oldest_held_s": 7},
    outbox_disk_is_usable=True,
    outbox_memory_bytes=1234,
    outbox_disk_bytes=0,
    outstanding=1,
)


@pytest.fixture
def health() -> Health:
    bus = BusConfig("line1", Serial(Path("/dev/ttyS0")))
    profile = catalogue.load("eastron-sdm630")
    devices = [DeviceConfig("line1", unit, profile, (Point(f"m{unit}"),)) for unit in (1, 2)]
    noted = Health([bus], devices, now_s=iter(range(100, 1000)).__next__)
    noted.set_bus("line1", BusState.UP)
    noted.set_device("line1", 1, DeviceState.GOOD)
    noted.set_device("line1", 2, DeviceState.SILENT, "no answer")
    noted.count("line1", 2, Counts(timeouts=3, late_answers=1))
    noted.count("line1", 99, Counts(late_answers=5))
    return noted


def get(address: Address, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_status_tells_of_each_bus_and_device(health: Health) -> None:
    with serving(Address(), routes(lambda: SERVICE, health.snapshot)) as address:
        status = json.loads(get(address, "/status")[1])
    assert status["buses"][0]["state"] == "up"
    first, second = status["devices"]
    assert (first["meters"], first["state"]) == (["m1"], "good")
    assert first["last_good_s"] > 0
    assert (second["state"], second["detail"], second["timeouts"]) == ("silent", "no answer", 3)
    assert second["last_good_s"] is None
    assert status["outbox"]["accounts"][0]["held"] == 3
    assert status["outbox"]["oldest_held_s"] == 7


def test_metrics_are_what_prometheus_reads(health: Health) -> None:
    with serving(Address(), routes(lambda: SERVICE, health.snapshot)) as address:
        code, text = get(address, "/metrics")
    assert code == 200
    samples = {
        (sample.name, sample.labels.get("meter")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["zonewise_edge_rows_held", None] == 3
    assert samples["zonewise_edge_oldest_held_s", None] == 7
    assert samples["zonewise_edge_device_good", "m1"] == 1
    assert samples["zonewise_edge_device_timeouts_total", "m2"] == 3
    assert ("zonewise_edge_device_last_good_seconds", "m2") not in samples
    for name in COUNTERS:
        assert ("zonewise_edge_" + name + ("" if name in GAUGES else "_total"), None) in samples


def test_a_step_of_the_clock_is_shown(health: Health) -> None:
    stepped = replace(SERVICE, maybe_step=Step(by_s=-86_400.0, at_ms=1_790_000_000_000))
    with serving(Address(), routes(lambda: stepped, health.snapshot)) as address:
        status = json.loads(get(address, "/status")[1])
        metrics = get(address, "/metrics")[1]
    assert status["clock_last_step"] == {"by_s": -86400.0, "at": "2026-09-21T14:13:20Z"}
    assert "zonewise_edge_clock_last_step_seconds -86400.0" in metrics


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (SERVICE, []),
        (replace(SERVICE, connected=False), ["not connected to the broker"]),
        (
            replace(SERVICE, connected=False, broker_problem="Not authorized"),
            ["not connected to the broker", "broker: Not authorized"],
        ),
        (replace(SERVICE, broker_problem="it refuses our messages"), ["broker: it refuses our messages"]),
        (replace(SERVICE, outbox_disk_is_usable=False), ["the outbox cannot use its disk"]),
    ],
)
def test_health_is_red_for_what_keeps_the_gateway_from_its_work(
    health: Health, service: agent.GatewaySnapshot, expected: list[str]
) -> None:
    with serving(Address(), routes(lambda: service, health.snapshot)) as address:
        code, text = get(address, "/healthz")
    assert code == (503 if expected else 200)
    assert text.splitlines() == (expected or ["ok"])


def test_a_line_that_is_down_is_red_and_a_silent_meter_is_not(health: Health) -> None:
    with serving(Address(), routes(lambda: SERVICE, health.snapshot)) as address:
        assert get(address, "/healthz")[0] == 200
        health.set_bus("line1", BusState.DOWN, "cable cut")
        code, text = get(address, "/healthz")
    assert (code, text) == (503, "bus line1 is down: cable cut\n")


def test_a_missing_counter_is_named_wherever_people_look(health: Health) -> None:
    counter = Register(Function.HOLDING, 0x5000, Layout(Encoding("u64")))
    gauge = Register(Function.HOLDING, 0x5B00, Layout(Encoding("u16")))
    health.set_missing(
        "line1",
        1,
        (
            Missing(
                counter.place,
                Use(MissingRole.COUNTER, "energy_import_wh"),
                "refused (2)",
                since_s=90,
                retry_at_s=160,
            ),
            Missing(
                gauge.place, Use(MissingRole.OTHER, "frequency_hz"), "refused (2)", since_s=90, retry_at_s=120
            ),
        ),
    )
    health.set_device("line1", 1, DeviceState.COUNTER_MISSING, "energy_import_wh: refused (2)")
    with serving(Address(), routes(lambda: SERVICE, health.snapshot)) as address:
        status = json.loads(get(address, "/status")[1])
        code, text = get(address, "/healthz")
        metrics = get(address, "/metrics")[1]
    first, _ = status["devices"]
    assert first["state"] == "counter missing"
    assert [(one["name"], one["register"], one["is_counter"]) for one in first["missing"]] == [
        ("energy_import_wh", "holding 20480", True),
        ("frequency_hz", "holding 23296", False),
    ]
    assert 0 < first["missing"][0]["asked_again_in_s"] <= 60
    named = "m1 (address 1 on line1) is counter missing: energy_import_wh: refused (2); asked for again in "
    assert status["problems"][0].startswith(named)
    assert code == 200, "the gateway itself does its work"
    assert text.splitlines()[0] == "ok"
    assert text.splitlines()[1].startswith(named)
    assert (
        'missing_register{address="1",bus="line1",is_counter="1",meter="m1",register="energy_import_wh"} 1.0'
        in metrics
    )
    assert 'zonewise_edge_device_good{address="1",bus="line1",meter="m1"} 0.0' in metrics
    assert health.counters()["meters_counter_missing"] == 1
    assert health.counters()["meters_silent"] == 1


def test_problems_name_each_meter_that_is_not_good_unless_its_bus_is_down(health: Health) -> None:
    with serving(Address(), routes(lambda: SERVICE, health.snapshot)) as address:
        assert json.loads(get(address, "/status")[1])["problems"] == [
            "m2 (address 2 on line1) is silent: no answer"
        ]
        health.set_bus("line1", BusState.DOWN, "cable cut")
        assert json.loads(get(address, "/status")[1])["problems"] == ["bus line1 is down: cable cut"]


def test_totals_for_the_status_message_leave_out_units_of_others(health: Health) -> None:
    counters = health.counters()
    assert counters.keys() <= set(COUNTERS)
    assert (counters["timeouts"], counters["late_answers"], counters["meters_silent"]) == (3, 1, 1)


def test_use_is_the_share_of_a_full_minute() -> None:
    now_s = [0.0]
    health = Health([BusConfig("line1", Serial(Path("/dev/ttyS0")))], [], now_s=lambda: now_s[0])
    for second in range(0, 62, 2):
        now_s[0] = float(second)
        health.add_busy("line1", 0.5)
    (bus,) = health.snapshot().buses
    assert bus.busy_share == pytest.approx(0.25, abs=0.02)
    assert bus.busy_s == 15.5
