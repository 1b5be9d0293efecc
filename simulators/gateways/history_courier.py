"""Sends the history of all gateways of a park, and keeps their accounts."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from metering.program.connection import Broker
from simulators.gateways.accounts import RowAccount
from simulators.gateways.courier import Courier, Route, courier
from simulators.gateways.history import HistoricMeter, HistorySpan, historic_meters
from simulators.meters.meter import FlowOverTime
from simulators.wires import Wires

_PRINT_EVERY_S = 1.0
_ALL = 100


class Progress:
    """Shows the progress: one line that changes on a terminal, a line per tenth elsewhere."""

    def __init__(self, what: str, total: int, *, check: Callable[[], None]) -> None:
        self._what = what
        self._total = max(total, 1)
        self._check = check
        self._told = -1
        self._told_at_s = 0.0

    def at(self, done: int) -> None:
        """Show how much is done, and check that all programs still run."""
        now_s = time.monotonic()
        if now_s - self._told_at_s < _PRINT_EVERY_S and done < self._total:
            return
        self._told_at_s = now_s
        self._check()
        percent = min(_ALL, 100 * done // self._total)
        text = f"  {self._what}: {done:,} of {self._total:,} ({percent} %)"
        if percent == self._told == _ALL:
            return
        if sys.stdout.isatty():
            click.echo(f"\r{text}\033[K", nl=percent == _ALL)
        elif percent // 10 != self._told // 10:
            click.echo(text)
        self._told = percent


async def send_history(
    wires: Wires,
    loads: Mapping[str, FlowOverTime],
    broker: Broker,
    span: HistorySpan,
    *,
    folder: Path,
    check: Callable[[], None],
) -> tuple[RowAccount, ...]:
    """Send a span of history and wait until all of it is acknowledged.

    Args:
        wires: Gateways and their meters.
        loads: What flows, by meter.
        broker: Where the messages go.
        span: Which instants.
        folder: Where the outboxes may write.
        check: Called now and then; raises when the demo cannot continue.

    Raises:
        DeliveryFailed: when nothing is acknowledged any more.
    """
    async with AsyncExitStack() as stack:
        senders: list[_Sender] = []
        for gateway in wires.gateways:
            route = Route(wires.park, gateway.gateway, broker, "history", folder)
            sender = await stack.enter_async_context(courier(route))
            senders.append(_Sender(gateway.gateway, sender, historic_meters(gateway, loads)))
        rows = len(span.instants) * sum(len(one.meters) for one in senders)
        await _send(senders, span, Progress("rows acknowledged", rows, check=check))
        return tuple(
            RowAccount(f"{one.gateway} history", one.gateway, one.courier.account) for one in senders
        )


@dataclass(frozen=True, slots=True)
class _Sender:
    """A gateway's history, and the courier that sends it."""

    gateway: str
    courier: Courier
    meters: tuple[HistoricMeter, ...]


async def _send(senders: Sequence[_Sender], span: HistorySpan, progress: Progress) -> None:
    def tell() -> None:
        accounts = [one.courier.account for one in senders]
        progress.at(sum(account.stored + account.quarantined for account in accounts))

    for instants in span.chunks:
        for one in senders:
            for meter in one.meters:
                await one.courier.send(meter.block(instants))
                tell()
    for one in senders:
        await one.courier.drain(on_wait=tell)
    tell()
