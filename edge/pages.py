"""The gateway's local pages: `/status` for people and programs, `/metrics` for Prometheus, `/healthz`.

Everything is drawn from two snapshots, in the thread of the page; nothing here touches the event loop.
`/healthz` is red (503) while a line is down, the broker out of reach or the disk of the outbox unusable, and
says which. A silent meter is no fault of the gateway: it stands in `/status` and `/metrics`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from edge import agent, health
from edge.health import BusState, DeviceState
from metering.local_http import Page, Routes
from metering.status import EpochAccount

_JSON = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_UNAVAILABLE = 503
_BUS_LABELS = ("bus",)
_DEVICE_LABELS = ("bus", "address", "meter")


def routes(service: Callable[[], agent.Snapshot], polling: Callable[[], health.Snapshot]) -> Routes:
    """Give the pages.

    Args:
        service: State of uplink, clock and outbox; called in the thread of a page.
        polling: State of buses and devices; likewise.
    """
    return {
        "/status": lambda: Page(orjson.dumps(status(service(), polling()), option=_JSON)),
        "/metrics": lambda: _metrics_page(service(), polling()),
        "/healthz": lambda: _health_page(service(), polling()),
    }


def problems(service: agent.Snapshot, polling: health.Snapshot) -> list[str]:
    """Give what keeps the gateway from its work, for people."""
    found = [f"bus {one.name} is down: {one.detail}" for one in polling.buses if one.state is BusState.DOWN]
    if not service.connected:
        found.append("not connected to the broker")
    if not service.outbox_disk_is_usable:
        found.append("the outbox cannot use its disk")
    return found


def _health_page(service: agent.Snapshot, polling: health.Snapshot) -> Page:
    found = problems(service, polling)
    body = "\n".join(found or ["ok"]) + "\n"
    return Page(body.encode(), "text/plain; charset=utf-8", _UNAVAILABLE if found else 200)


def status(service: agent.Snapshot, polling: health.Snapshot) -> Mapping[str, Any]:
    """Give everything as a JSON object."""
    return {
        "gateway": service.identity.gateway,
        "park": service.identity.park,
        "epoch": service.identity.epoch,
        "software": service.identity.software,
        "problems": problems(service, polling),
        "clock": service.clock,
        "broker": {"connected": service.connected, "outstanding_messages": service.outstanding},
        "outbox": {
            "disk_is_usable": service.outbox_disk_is_usable,
            "memory_bytes": service.outbox_memory_bytes,
            "disk_bytes": service.outbox_disk_bytes,
            "rows_waiting_for_the_clock": service.waiting_rows,
            "accounts": [_account(one) for one in service.accounts],
        },
        "counters": dict(service.counters),
        "buses": [_bus(one) for one in polling.buses],
        "devices": [_device(one, polling.at_s) for one in polling.devices],
    }


def _account(account: EpochAccount) -> Mapping[str, Any]:
    return {
        "epoch": account.epoch,
        "read": account.read,
        "stored": account.stored,
        "quarantined": account.quarantined,
        "held": account.held,
        "dropped": account.dropped,
        "read_is_known": account.read_is_known,
    }


def _bus(bus: health.BusHealth) -> Mapping[str, Any]:
    return {
        "bus": bus.name,
        "way": bus.way,
        "state": bus.state.value,
        "detail": bus.detail,
        "failures": bus.failures,
        "busy_share": round(bus.busy_share, 3),
    }


def _device(device: health.DeviceHealth, at_s: float) -> Mapping[str, Any]:
    maybe_age_s = device.maybe_age_s(at_s)
    return {
        "meters": device.meters,
        "model": device.model,
        "bus": device.bus,
        "address": device.unit,
        "state": device.state.value,
        "detail": device.detail,
        "last_good_s": None if maybe_age_s is None else round(maybe_age_s, 1),
        **device.counts.by_name(),
    }


def _metrics_page(service: agent.Snapshot, polling: health.Snapshot) -> Page:
    registry = CollectorRegistry()
    registry.register(_Drawn([*_service_metrics(service), *_bus_metrics(polling), *_device_metrics(polling)]))
    return Page(generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4)


class _Drawn:
    """A collector of metrics that are there already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _service_metrics(service: agent.Snapshot) -> Iterator[Metric]:
    gauges: Mapping[str, tuple[str, float]] = {
        "connected": ("1 while connected to the broker", service.connected),
        "clock_known": ("1 while rows can be stamped without doubt", service.clock != "none"),
        "outbox_memory_bytes": ("Messages in memory", service.outbox_memory_bytes),
        "outbox_disk_bytes": ("Messages on disk", service.outbox_disk_bytes),
        "outbox_disk_usable": ("1 while the outbox can use its disk", service.outbox_disk_is_usable),
        "outstanding_messages": ("Messages sent and not acknowledged", service.outstanding),
        "rows_held": ("Rows not yet safe", sum(account.held for account in service.accounts)),
    }
    for name, (text, value) in gauges.items():
        yield GaugeMetricFamily(f"zonewise_edge_{name}", text, value=float(value))
    for name, total in service.counters.items():
        if name == "meters_silent":
            yield GaugeMetricFamily("zonewise_edge_meters_silent", "Meters without rows", value=total)
        else:
            yield CounterMetricFamily(f"zonewise_edge_{name}", f"Total of {name}", value=total)


def _bus_metrics(polling: health.Snapshot) -> Iterator[Metric]:
    up = GaugeMetricFamily("zonewise_edge_bus_up", "1 while the line is open", labels=_BUS_LABELS)
    busy = CounterMetricFamily("zonewise_edge_bus_busy_seconds", "Time in use", labels=_BUS_LABELS)
    failures = CounterMetricFamily("zonewise_edge_bus_failures", "Lost or not opened", labels=_BUS_LABELS)
    for bus in polling.buses:
        up.add_metric([bus.name], float(bus.state is BusState.UP))
        busy.add_metric([bus.name], bus.busy_s)
        failures.add_metric([bus.name], bus.failures)
    yield from (up, busy, failures)


def _device_metrics(polling: health.Snapshot) -> Iterator[Metric]:
    good = GaugeMetricFamily("zonewise_edge_device_good", "1 while it gives rows", labels=_DEVICE_LABELS)
    age = GaugeMetricFamily(
        "zonewise_edge_device_last_good_seconds", "Since it gave rows", labels=_DEVICE_LABELS
    )
    totals = {
        name: CounterMetricFamily(f"zonewise_edge_device_{name}", f"Total of {name}", labels=_DEVICE_LABELS)
        for name in health.Counts().by_name()
    }
    for device in polling.devices:
        labels = [device.bus, str(device.unit), device.name]
        good.add_metric(labels, float(device.state is DeviceState.GOOD))
        maybe_age_s = device.maybe_age_s(polling.at_s)
        if maybe_age_s is not None:
            age.add_metric(labels, maybe_age_s)
        for name, total in device.counts.by_name().items():
            totals[name].add_metric(labels, total)
    yield from (good, age, *totals.values())
