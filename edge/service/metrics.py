"""The gateway's state for Prometheus; imported at the first request."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from edge.drivers.counts import Counts
from edge.polling import health
from edge.polling.health import BusState, DeviceState
from edge.service import agent
from metering.messages.status import GAUGES
from metering.program.local_http import Page

_BUS_LABELS = ("bus",)
_DEVICE_LABELS = ("bus", "address", "meter")
# Counters of the status that can decrease: gauges for Prometheus.
_NOW: Mapping[str, str] = {
    "oldest_held_s": "Age of the oldest row that is not acknowledged",
    "meters_silent": "Meters without rows",
    "meters_counter_missing": "Meters whose rows lack a counter",
    "meters_unconfirmed": "Meters that do not tell their model",
}


def page(service: agent.GatewaySnapshot, polling: health.HealthSnapshot) -> Page:
    """Return the page in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(
        _Collected([*_service_metrics(service), *_bus_metrics(polling), *_device_metrics(polling)])
    )
    return Page(generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4)


class _Collected:
    """A collector of metrics that exist already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _service_metrics(service: agent.GatewaySnapshot) -> Iterator[Metric]:
    gauges: Mapping[str, tuple[str, float]] = {
        "connected": ("1 while connected to the broker", service.connected),
        "clock_known": ("1 while rows can be stamped without doubt", service.clock != "none"),
        "outbox_memory_bytes": ("Messages in memory", service.outbox_memory_bytes),
        "outbox_disk_bytes": ("Messages on disk", service.outbox_disk_bytes),
        "outbox_disk_usable": ("1 while the outbox can use its disk", service.outbox_disk_is_usable),
        "outstanding_messages": ("Messages sent and not acknowledged", service.outstanding),
        "rows_held": ("Rows not yet safe", sum(account.held for account in service.accounts)),
    }
    if service.maybe_step is not None:
        gauges = {**gauges, "clock_last_step_seconds": ("Last jump of the clock", service.maybe_step.by_s)}
    for name, (text, value) in gauges.items():
        yield GaugeMetricFamily(f"zonewise_edge_{name}", text, value=float(value))
    for name, total in service.counters.items():
        if name in GAUGES:
            yield GaugeMetricFamily(f"zonewise_edge_{name}", _NOW[name], value=total)
        else:
            yield CounterMetricFamily(f"zonewise_edge_{name}", f"Total of {name}", value=total)


def _bus_metrics(polling: health.HealthSnapshot) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "zonewise_edge_bus_up", "1 while the line is open and somebody on it answers", labels=_BUS_LABELS
    )
    busy = CounterMetricFamily("zonewise_edge_bus_busy_seconds", "Time in use", labels=_BUS_LABELS)
    failures = CounterMetricFamily("zonewise_edge_bus_failures", "Lost or not opened", labels=_BUS_LABELS)
    for bus in polling.buses:
        up.add_metric([bus.name], float(bus.state is BusState.UP))
        busy.add_metric([bus.name], bus.busy_s)
        failures.add_metric([bus.name], bus.failures)
    yield from (up, busy, failures)


def _device_metrics(polling: health.HealthSnapshot) -> Iterator[Metric]:
    good = GaugeMetricFamily("zonewise_edge_device_good", "1 while its state is good", labels=_DEVICE_LABELS)
    age = GaugeMetricFamily(
        "zonewise_edge_device_last_good_seconds", "Since it gave rows", labels=_DEVICE_LABELS
    )
    missing = GaugeMetricFamily(
        "zonewise_edge_device_missing_register",
        "1 for each register that it does not give",
        labels=(*_DEVICE_LABELS, "register", "is_counter"),
    )
    totals = {
        name: CounterMetricFamily(f"zonewise_edge_device_{name}", f"Total of {name}", labels=_DEVICE_LABELS)
        for name in Counts().by_name()
    }
    for device in polling.devices:
        labels = [device.bus, str(device.address), device.name]
        good.add_metric(labels, float(device.state is DeviceState.GOOD))
        maybe_age_s = device.maybe_age_s(polling.at_s)
        if maybe_age_s is not None:
            age.add_metric(labels, maybe_age_s)
        for name, total in device.counts.by_name().items():
            totals[name].add_metric(labels, total)
        for one in device.missing:
            missing.add_metric([*labels, one.use.name, str(int(one.is_counter))], 1.0)
    yield from (good, age, missing, *totals.values())
