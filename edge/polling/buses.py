"""All buses of a gateway, each with its poller."""

import asyncio
from collections.abc import Callable, Mapping

from edge.config.gateway import GatewayConfig
from edge.drivers.polled import Polled
from edge.drivers.table import LoadDriver, load_driver, protocol_of
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
        drivers: Gives the driver of a protocol.
    """

    def __init__(
        self,
        config: GatewayConfig,
        health: Health,
        sink: Callable[[Polled], None],
        learn: Callable[[Mapping[str, MeterFacts]], None],
        *,
        drivers: LoadDriver = load_driver,
    ) -> None:
        self._health = health
        outlets = Outlets(sink=sink, announce=learn, health=health)
        self._pollers = {
            bus.name: Poller(
                bus,
                config.devices_on(bus.name),
                driver=drivers(protocol_of(config.devices_on(bus.name))),
                outlets=outlets,
            )
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
