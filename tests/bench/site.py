"""A site of real gateway processes with simulated meters on Modbus TCP, over a real broker and InfluxDB."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from edge.catalogue import models as catalogue
from tests.bench.lines import SimulatedLine, Unit, serving
from tests.system.chain import Chain

#: A TCP gateway in a cabinet passes on to so many meters.
_UNITS_PER_BUS = 25


@dataclass(frozen=True, slots=True)
class Site:
    """What to build.

    Attributes:
        gateways: How many.
        meters: How many each of them reads, of the models in turn.
        poll_s: Poll period of all meters.
        models: Of the catalogue; default: all of them.
    """

    gateways: int
    meters: int
    poll_s: float
    models: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the gateways."""
        return tuple(f"gw-{number}" for number in range(1, self.gateways + 1))


@contextmanager
def built(one: Chain, site: Site) -> Iterator[None]:
    """Serve the site's meters while the block runs, and write the gateways' configuration."""
    units = {gateway: _units(site, gateway) for gateway in site.names}
    parts = [(gateway, part) for gateway in site.names for part in _buses(units[gateway])]
    with serving([SimulatedLine(part) for _, part in parts]) as ports:
        for gateway in site.names:
            mine = [
                (part, port) for (owner, part), port in zip(parts, ports, strict=True) if owner == gateway
            ]
            _write(one, gateway, mine, site.poll_s)
        yield


def _units(site: Site, gateway: str) -> list[Unit]:
    models = site.models or catalogue.model_ids()
    return [
        Unit(1 + number % _UNITS_PER_BUS, models[number % len(models)], f"{gateway}-m{number}")
        for number in range(site.meters)
    ]


def _buses(units: Sequence[Unit]) -> Iterator[tuple[Unit, ...]]:
    for first in range(0, len(units), _UNITS_PER_BUS):
        yield tuple(units[first : first + _UNITS_PER_BUS])


def _write(one: Chain, gateway: str, lines: Sequence[tuple[tuple[Unit, ...], int]], poll_s: float) -> None:
    buses = {f"bus{number}": {"tcp": f"127.0.0.1:{port}"} for number, (_, port) in enumerate(lines)}
    meters = [
        meter_entry(unit, f"bus{number}", poll_s) for number, (part, _) in enumerate(lines) for unit in part
    ]
    one.write_gateway(gateway, buses=buses, meters=meters)


def meter_entry(unit: Unit, bus: str, poll_s: float) -> dict[str, object]:
    """Return a device as it stands in gateway.yaml; of one with channels, the first."""
    has_channels = catalogue.load(unit.model).has_channels
    name: dict[str, object] = {"channels": {1: unit.meter}} if has_channels else {"id": unit.meter}
    return {"model": unit.model, "bus": bus, "address": unit.unit, "poll_s": poll_s, **name}
