"""The retained statuses of gateways, read from the broker."""

import asyncio
import contextlib
from collections.abc import Iterable

from edge.uplink.mqtt import LinkOptions, MqttLink, Received
from metering.errors import MalformedMessage
from metering.messages import status, topics
from metering.messages.status import Status
from metering.program.connection import Broker


class _Collector:
    """Takes statuses until there is one of each gateway."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self.found: dict[str, Status] = {}
        self.complete = asyncio.Event()
        self._wanted = set(wanted)

    def link_up(self) -> None:
        """Do nothing: retained messages follow."""

    def link_down(self, reason: str) -> None:
        """Do nothing: the link connects again by itself."""

    def received(self, message: Received) -> None:
        """Keep a status."""
        try:
            one = status.decode(message.body)
        except MalformedMessage:
            return
        self.found[one.gateway] = one
        if self._wanted <= self.found.keys():
            self.complete.set()


async def read_statuses(
    broker: Broker, park: str, gateways: tuple[str, ...], *, timeout_s: float = 10.0
) -> dict[str, Status]:
    """Return the retained status of each gateway that has one."""
    collector = _Collector(gateways)
    options = LinkOptions(
        broker=broker,
        client_id=f"zonewise-{park}-demo-report",
        subscriptions=tuple(topics.status(park, gateway) for gateway in gateways),
    )
    async with MqttLink(options, collector):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await collector.complete.wait()
    return collector.found
