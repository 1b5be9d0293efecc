"""What calls itself pure reaches no socket, clock, logger, process or file, however many modules lie between."""

import ast
import re
from functools import cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("metering", "edge", "ingest", "dashboards", "simulators")

#: Modules whose functions depend on their arguments alone. The list may grow; it does not shrink.
PURE = (
    "dashboards.boards.gateway_health",
    "dashboards.boards.table",
    "dashboards.boards.zone_overview",
    "dashboards.grafana.dashboard_json",
    "dashboards.grafana.files",
    "dashboards.grafana.layout",
    "dashboards.grafana.look",
    "dashboards.grafana.provisioning",
    "dashboards.grafana.views",
    "dashboards.model.panel",
    "dashboards.model.queries",
    "dashboards.model.site",
    "dashboards.model.texts",
    "dashboards.model.units",
    "dashboards.verify.render",
    "edge.batching.assembler",
    "edge.batching.clock",
    "edge.commissioning.advice",
    "edge.commissioning.forecast",
    "edge.drivers.counts",
    "edge.drivers.line_timing",
    "edge.drivers.meter_model",
    "edge.drivers.missing",
    "edge.drivers.modbus.decode",
    "edge.drivers.modbus.framing",
    "edge.drivers.modbus.missing",
    "edge.drivers.modbus.plan",
    "edge.drivers.modbus.profile",
    "edge.drivers.modbus.reads",
    "edge.drivers.modbus.registers",
    "edge.drivers.modbus.scale",
    "edge.drivers.polled",
    "edge.drivers.settings",
    "edge.drivers.transformers",
    "edge.drivers.wiring",
    "edge.outbox.entry",
    "edge.outbox.ledger",
    "edge.outbox.memory",
    "edge.outbox.pending_deletions",
    "edge.polling.backoff",
    "edge.polling.schedule",
    "edge.polling.silence",
    "edge.uplink.link_end",
    "edge.uplink.pace",
    "edge.uplink.reconnect",
    "edge.uplink.window",
    "ingest.backoff",
    "ingest.clock.rules",
    "ingest.intervals.counters",
    "ingest.intervals.joints",
    "ingest.intervals.lone",
    "ingest.intervals.rises",
    "ingest.intervals.slots",
    "ingest.intervals.spans",
    "ingest.intervals.zone_use",
    "ingest.journal.quarantine_entry",
    "ingest.journal.segments",
    "ingest.pipeline.ahead",
    "ingest.pipeline.refusals",
    "ingest.provisioning.broker_files",
    "ingest.receive.accounts",
    "ingest.receive.acks",
    "ingest.receive.deliveries",
    "ingest.receive.shares",
    "ingest.rollup.late",
    "ingest.rollup.park_edition",
    "ingest.rollup.series.members",
    "ingest.store.answers",
    "ingest.store.influxql",
    "ingest.store.line_protocol",
    "ingest.validation.announcements",
    "ingest.validation.messages",
    "ingest.validation.owners",
    "ingest.validation.registry",
    "ingest.validation.rows",
    "metering.messages.ack",
    "metering.messages.birth",
    "metering.messages.data",
    "metering.messages.json_body",
    "metering.messages.status",
    "metering.messages.topics",
    "metering.names",
    "metering.park.dated",
    "metering.park.model",
    "metering.program.addresses",
    "metering.program.backoff",
    "metering.program.form",
    "metering.program.mistakes",
    "metering.program.near",
    "metering.program.yaml_file",
    "metering.quantities",
    "metering.readings",
    "metering.series",
    "simulators.demo.report",
    "simulators.gateways.accounts",
    "simulators.loads.course",
    "simulators.meters.faults",
    "simulators.meters.frames",
    "simulators.meters.image",
    "simulators.meters.meter",
)

IMPURE = {
    *("asyncio", "http", "logging", "multiprocessing", "os", "queue", "random", "secrets", "selectors"),
    *("shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib"),
    *("click", "grafana_client", "influxdb_client", "paho", "pymodbus", "serial", "urllib3"),
}
#: `pathlib.Path` is a value too; these read or write what it names.
FILE_ACCESS = re.compile(
    r"(?<![.\w])(?<!def )open\(|\.(read|write)_(text|bytes)\(|\.(mkdir|unlink|exists|stat|iterdir)\("
)
SAYS_PURE = re.compile(r"\bPure\b(?! but)")


@cache
def graph() -> grimp.ImportGraph:
    """Return who imports whom, ours and others'."""
    return grimp.build_graph(*PACKAGES, include_external_packages=True)


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_reaches_nothing_impure(module: str) -> None:
    chains = {
        impure: graph().find_shortest_chain(module, impure)
        for impure in graph().find_upstream_modules(module)
        if impure.partition(".")[0] in IMPURE
    }

    assert chains == {}


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_touches_no_file(module: str) -> None:
    ours = [module, *(one for one in graph().find_upstream_modules(module) if one.startswith(PACKAGES))]

    touching = [one for one in ours if FILE_ACCESS.search(_source(one).read_text(encoding="utf-8"))]

    assert touching == []


def test_what_calls_itself_pure_is_tested() -> None:
    says = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py" and SAYS_PURE.search(_docstring(path))
    }

    assert says - set(PURE) == set()


def _source(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
