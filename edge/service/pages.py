"""The gateway's local pages: `/status` for people and programs, `/metrics` for Prometheus, `/healthz`.

The pages are made of two snapshots, in the thread of the request; nothing here touches the event loop.
`/healthz` answers 503 while a line is down, the broker cannot be reached or the outbox cannot use its disk,
and names the cause. A silent meter is no fault of the gateway: it is in `/status` and `/metrics`. A meter
that gives rows and is not good (a counter is missing, its identity cannot be read) would be overlooked:
`/healthz` names it too, but does not answer 503 for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from edge.batching.clock import Step
from edge.drivers.missing import Missing, MissingRole
from edge.polling import health
from edge.polling.health import GIVING_ROWS, BusState, DeviceState
from edge.service import agent
from metering.program.local_http import Page, Routes

_JSON = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_UNAVAILABLE = 503


def routes(
    service: Callable[[], agent.GatewaySnapshot], polling: Callable[[], health.HealthSnapshot]
) -> Routes:
    """Return the pages.

    Args:
        service: Returns the state of uplink, clock and outbox; called in the thread of a request.
        polling: Returns the state of buses and devices; likewise.
    """
    return {
        "/status": lambda: Page(orjson.dumps(status(service(), polling()), option=_JSON)),
        "/metrics": lambda: _metrics_page(service(), polling()),
        "/healthz": lambda: _health_page(service(), polling()),
    }


def problems(service: agent.GatewaySnapshot, polling: health.HealthSnapshot) -> list[str]:
    """Return what keeps the gateway from working, in words."""
    found = [f"bus {one.name} is down: {one.detail}" for one in polling.buses if one.state is BusState.DOWN]
    if not service.connected:
        found.append("not connected to the broker")
    if service.broker_problem:
        found.append(f"broker: {service.broker_problem}")
    if not service.outbox_disk_is_usable:
        found.append("the outbox cannot use its disk")
    if service.disk_problem:
        found.append(f"outbox: {service.disk_problem}")
    return found


def meter_problems(polling: health.HealthSnapshot) -> list[str]:
    """Return what is wrong with single meters, in words; meters of a bus that is down are left out."""
    down = {one.name for one in polling.buses if one.state is BusState.DOWN}
    return [
        _meter_problem(one, polling.at_s)
        for one in polling.devices
        if one.state not in (DeviceState.GOOD, DeviceState.WAITING) and one.bus not in down
    ]


def _incomplete(polling: health.HealthSnapshot) -> list[str]:
    return [
        _meter_problem(one, polling.at_s)
        for one in polling.devices
        if one.state in GIVING_ROWS and one.state is not DeviceState.GOOD
    ]


def _meter_problem(device: health.DeviceHealth, at_s: float) -> str:
    text = f"{device.name} ({device.place}) is {device.state}: {device.detail}"
    if device.state is DeviceState.SILENT:
        return text
    causes = [one for one in device.missing if one.use.role in (MissingRole.COUNTER, MissingRole.IDENTITY)]
    if not causes:
        return text
    first_s = min(max(0.0, one.retry_at_s - at_s) for one in causes)
    return f"{text}; asked for again in {first_s:.0f} s"


def _health_page(service: agent.GatewaySnapshot, polling: health.HealthSnapshot) -> Page:
    found = problems(service, polling)
    body = "\n".join((found or ["ok"]) + _incomplete(polling)) + "\n"
    return Page(body.encode(), "text/plain; charset=utf-8", _UNAVAILABLE if found else 200)


def status(service: agent.GatewaySnapshot, polling: health.HealthSnapshot) -> Mapping[str, Any]:
    """Return everything as a JSON object."""
    return {
        "gateway": service.identity.gateway,
        "park": service.identity.park,
        "epoch": service.identity.epoch,
        "software": service.identity.software,
        "problems": problems(service, polling) + meter_problems(polling),
        "clock": service.clock,
        "clock_last_step": None if service.maybe_step is None else _step(service.maybe_step),
        "broker": {
            "connected": service.connected,
            "problem": service.broker_problem,
            "outstanding_messages": service.outstanding,
        },
        "outbox": {
            "disk_is_usable": service.outbox_disk_is_usable,
            "memory_bytes": service.outbox_memory_bytes,
            "disk_bytes": service.outbox_disk_bytes,
            "rows_waiting": service.waiting_rows,
            "oldest_held_s": service.counters["oldest_held_s"],
            "accounts": [asdict(one) for one in service.accounts],
        },
        "counters": dict(service.counters),
        "buses": [_bus(one) for one in polling.buses],
        "devices": [_device(one, polling.at_s) for one in polling.devices],
    }


def _step(step: Step) -> Mapping[str, Any]:
    return {"by_s": round(step.by_s, 3), "at": step.at}


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
        "address": device.address,
        "state": device.state.value,
        "detail": device.detail,
        "last_good_s": None if maybe_age_s is None else round(maybe_age_s, 1),
        **device.counts.by_name(),
        "missing": [_missing(one, at_s) for one in device.missing],
    }


def _missing(one: Missing, at_s: float) -> Mapping[str, Any]:
    return {
        "name": one.use.name,
        "is_counter": one.is_counter,
        "register": one.place,
        "reason": one.reason,
        "missing_s": round(at_s - one.since_s, 1),
        "asked_again_in_s": round(max(0.0, one.retry_at_s - at_s), 1),
    }


def _metrics_page(service: agent.GatewaySnapshot, polling: health.HealthSnapshot) -> Page:
    from edge.service import metrics  # noqa: PLC0415 - saves a megabyte where no Prometheus asks

    return metrics.page(service, polling)
