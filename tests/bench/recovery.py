"""How long rows are missing or wrong after a fault has ended: lost connection, power cut, refusal, clock step.

A real gateway process reads stand-in meters on three lines; what it read and when is asked of InfluxDB. Steps of
the clock are in `tests.bench.clock_step`. What is not back within the watch has an infinite time.
"""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.clock_step import clock_steps
from tests.bench.figure import Bench, Figure
from tests.peers.modbus_meters import Meters, modbus_tcp, serial_line
from tests.peers.tcp_proxy import Proxy, proxy
from tests.system.chain import PARK, Chain, chain, wait_until

_GATEWAY = "gw-1"
_POLL_S = 10.0
_NETWORK, _NETWORK_MUTE = range(1, 61), range(37, 61)
_RAIL, _RAIL_MUTE = range(1, 27), range(21, 27)
_REFUSED = dict.fromkeys(range(0x5000, 0x5008), 2)
_REFUSED_S = 3.0
_CUT_S = 90.0
_WATCH_S = 120.0
_STAYS_S = 65.0
_START_TIMEOUT_S = 120.0
_SETTLE_S = 30.0
_NEVER = float("inf")


@dataclass
class _Site:
    """Three lines of stand-ins and what leads to them."""

    network: Meters = field(default_factory=lambda: Meters(mute=set(_NETWORK_MUTE), registers=_zeros))
    rail: Meters = field(default_factory=lambda: Meters(mute=set(_RAIL_MUTE), registers=_zeros))
    single: Meters = field(default_factory=lambda: Meters(registers=_abb_b23))
    network_port: int = 0
    single_port: int = 0
    rail_path: Path = Path()
    maybe_proxy: Proxy | None = None
    is_ready: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)

    async def serve(self) -> None:
        """Serve until `is_over` is set."""
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(modbus_tcp(self.network))
            self.maybe_proxy = await stack.enter_async_context(proxy(target))
            self.network_port = self.maybe_proxy.port
            self.single_port = await stack.enter_async_context(modbus_tcp(self.single))
            self.rail_path = await stack.enter_async_context(serial_line(self.rail))
            self.is_ready.set()
            await asyncio.to_thread(self.is_over.wait)

    def lose_connections(self) -> None:
        """Let the open connections of the network line lead nowhere."""
        if self.maybe_proxy is not None:
            self.maybe_proxy.swallow()


def _zeros(_unit: int, _address: int, count: int) -> bytes:
    return bytes(2 * count)


def _abb_b23(_unit: int, address: int, count: int) -> bytes:
    return b"B23\0" if address == 0x8960 else bytes(2 * count)


@contextmanager
def _serving() -> Iterator[_Site]:
    site = _Site()
    thread = threading.Thread(target=lambda: asyncio.run(site.serve()), name="stand-in meters")
    thread.start()
    try:
        site.is_ready.wait(_START_TIMEOUT_S)
        yield site
    finally:
        site.is_over.set()
        thread.join()


def measure(folder: Path) -> Iterator[Figure]:
    """Let three lines of one gateway fail at the same time, then step a clock."""
    with chain(folder) as one:
        with _serving() as site:
            yield from _lines(one, site)
        yield from clock_steps(one)


def _lines(one: Chain, site: _Site) -> Iterator[Figure]:
    _start(one, site)
    good = [f"net-{unit}" for unit in _NETWORK if unit not in _NETWORK_MUTE]
    powered = [f"rail-{unit}" for unit in _RAIL if unit not in _RAIL_MUTE]
    wait_until(
        "every good meter is read",
        lambda: _first_rows_s(one, 0.0).keys() >= {*good, *powered, "single"},
        timeout_s=_START_TIMEOUT_S,
    )
    time.sleep(_SETTLE_S)
    # The refusal is to meet a poll: they fall on whole multiples of their period.
    time.sleep(-(time.time() + _REFUSED_S / 2) % _POLL_S)
    lost_s = time.time()
    site.lose_connections()
    site.rail.mute = set(_RAIL)
    site.single.refusals = _REFUSED
    time.sleep(_REFUSED_S)
    refused_s = time.time()
    site.single.refusals = {}
    time.sleep(_CUT_S - _REFUSED_S)
    power_s = time.time()
    site.rail.mute = set(_RAIL_MUTE)
    time.sleep(_WATCH_S)
    one.programs[_GATEWAY].stop()
    yield _half_open(_first_rows_s(one, lost_s), good)
    yield from _power_cut(_first_rows_s(one, power_s), powered)
    yield _refusal(_whole_again_s(one, "single", refused_s))


def _start(one: Chain, site: _Site) -> None:
    one.write_park({})
    one.write_ingest()
    one.start_ingest()
    buses = {
        "network": {"tcp": f"127.0.0.1:{site.network_port}"},
        "rail": {"serial": str(site.rail_path), "baud": 9600, "parity": "N", "stop_bits": 2},
        "single": {"tcp": f"127.0.0.1:{site.single_port}"},
    }
    meters = [
        *(_entry(f"net-{unit}", "network", unit) for unit in _NETWORK),
        *(_entry(f"rail-{unit}", "rail", unit) for unit in _RAIL),
        _entry("single", "single", 1, model="abb-b23"),
    ]
    one.write_gateway(_GATEWAY, buses=buses, meters=meters)
    one.start_gateway(_GATEWAY)


def _entry(meter: str, bus: str, unit: int, *, model: str = "eastron-sdm630") -> dict[str, object]:
    return {"id": meter, "model": model, "bus": bus, "address": unit, "poll_s": _POLL_S}


def _first_rows_s(one: Chain, since_s: float) -> dict[str, float]:
    """Return when each meter's counter was first read after an instant, in seconds from it."""
    since_ms = round(since_s * 1000)
    query = f'SELECT "energy_import_wh" FROM electricity WHERE time >= {since_ms}ms GROUP BY "meter" LIMIT 1'
    found = one.query(f"{PARK}_raw", query)
    return {series["tags"]["meter"]: series["values"][0][0] / 1000 - since_s for series in found}


def _whole_again_s(one: Chain, meter: str, since_s: float) -> float:
    """Return from when on every row of a meter has its counter, in seconds from an instant."""
    query = (
        f'SELECT "energy_import_wh", "quality" FROM electricity WHERE "meter" = \'{meter}\' '
        f"AND time >= {round(since_s * 1000)}ms"
    )
    rows = [row for series in one.query(f"{PARK}_raw", query) for row in series["values"]]
    missing = [number for number, (_time_ms, counter, _quality) in enumerate(rows) if counter is None]
    first_whole = missing[-1] + 1 if missing else 0
    # The slow registers are read once a minute: a single whole row is no recovery.
    is_back = first_whole < len(rows) and rows[-1][0] - rows[first_whole][0] > _STAYS_S * 1000
    return rows[first_whole][0] / 1000 - since_s if is_back else _NEVER


def _half_open(back_s: dict[str, float], good: Sequence[str]) -> Figure:
    how = (
        f"real gateway, {len(_NETWORK)} meters on one TCP connection, {len(_NETWORK_MUTE)} of them mute, poll "
        f"{_POLL_S:g} s; a proxy stops forwarding and keeps the sockets open; until the last good meter is read"
    )
    value = max(back_s.get(meter, _NEVER) for meter in good)
    return Figure("Half-open TCP, all meters back", value, "s", how, "<= 30 s")


def _power_cut(back_s: dict[str, float], powered: Sequence[str]) -> Iterator[Figure]:
    found = [back_s.get(meter, _NEVER) for meter in powered]
    how = (
        f"real gateway, pty, {len(powered)} meters without power for {_CUT_S:g} s beside {len(_RAIL_MUTE)} that were "
        f"mute before, poll {_POLL_S:g} s, time-out 1 s; from the power's return"
    )
    yield Figure("Power cut, first meter back", min(found), "s", how, "<= 30 s")
    since_first_s = max(found) - min(found) if max(found) < _NEVER else _NEVER
    how = "the same; from the first meter's answer to the last one's, target two polls"
    yield Figure("Power cut, then all meters back", since_first_s, "s", how, f"<= {2 * _POLL_S:g} s")


def _refusal(back_s: float) -> Figure:
    how = (
        f"real gateway, ABB B23 whose registers 0x5000 to 0x5007 are refused (code 2) for {_REFUSED_S:g} s, poll "
        f"{_POLL_S:g} s; from the end of the refusal until its import counter is in every row; watched for "
        f"{_CUT_S + _WATCH_S - _REFUSED_S:g} s"
    )
    return Figure("Refused counter read again", back_s, "s", how, "<= 60 s")


BENCH = Bench("recovery", "after a fault: until rows are there and right again", measure)
