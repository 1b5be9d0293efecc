"""All buses of a gateway, each with its poller."""

import asyncio
from collections.abc import Callable, Mapping

from edge.config.gateway import GatewayConfig
from edge.drivers.modbus.bus import Bus
from edge.drivers.polled import Polled
from edge.drivers.settings import BusConfig
from edge.polling.health import Health
from edge.polling.poller import Outlets, Poller
from metering.messages.birth import MeterFacts


class Polling:
    """Polls every bus, side by side.

    Args:
        config: Buses and devices.
        health: Takes notes of all of them.
        sink: Takes each row, without blocking.
        learn: Takes what became known of meters.
    """

    def __init__(
        self,
        config: GatewayConfig,
        health: Health,
        sink: Callable[[Polled], None],
        learn: Callable[[Mapping[str, MeterFacts]], None],
    ) -> None:
        self._health = health
        outlets = Outlets(sink=sink, announce=learn, health=health)
        self._pollers = {
            bus.name: Poller(bus, config.devices_on(bus.name), open_line=_open, outlets=outlets)
            for bus in config.buses
        }

    @property
    def facts(self) -> Mapping[str, MeterFacts]:
        """What is known of each meter, for the birth."""
        return {meter: facts for one in self._pollers.values() for meter, facts in one.facts.items()}

    @property
    def counters(self) -> Mapping[str, int]:
        """Totals since the start, for the status."""
        return self._health.counters()

    async def run(self) -> None:
        """Poll until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, poller in self._pollers.items():
                group.create_task(poller.run(), name=f"bus {name}")


def _open(bus: BusConfig, on_late: Callable[[int], None]) -> Bus:
    return Bus(bus, on_late=on_late)
