"""From a park description file (`park.yaml`) to a `Park`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from metering.errors import ConfigError, Problem
from metering.park.description import MeterEntry, ParkDescription, dated, quantity
from metering.park.model import Group, Park, ParkMeter, Place
from metering.program.config import load


def to_park(description: ParkDescription) -> Park:
    """Build the park of a description that was loaded without problems."""
    zone = ZoneInfo(description.timezone)
    return Park(
        id=description.park,
        name=description.name,
        timezone=zone,
        zones=_groups(description.zones, zone),
        buildings=_groups(description.buildings, zone),
        tenants=_groups(description.tenants, zone),
        meters={meter: _meter(meter, entry, zone) for meter, entry in description.meters.items()},
        declared={name: quantity(name, entry) for name, entry in description.quantities.items()},
    )


def _groups(entries: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Group]:
    return {
        group: Group(
            group,
            entry.name,
            {
                key: dated(getattr(entry, key), lambda number: number.value, zone)
                for key in ("area_m2", "people", "output")
            },
        )
        for group, entry in entries.items()
    }


def _meter(meter: str, entry: MeterEntry, zone: ZoneInfo) -> ParkMeter:
    return ParkMeter(
        id=meter,
        name=entry.name or meter,
        medium=entry.medium,
        role=entry.role,
        place=dated(entry.place, lambda one: Place(one.zone, one.building), zone),
        tenant=dated(entry.tenant, lambda one: one.tenant, zone),
        gateway=dated(entry.gateway, lambda one: one.gateway, zone),
        fed_by=dated(entry.fed_by, lambda one: one.fed_by, zone),
        fuse_a=entry.fuse_a,
    )


def load_park(path: Path) -> Park:
    """Read one park description.

    Raises:
        ConfigError: with every problem found.
    """
    return to_park(load(path, ParkDescription))


def load_parks(folder: Path) -> dict[str, Park]:
    """Read every `*.yaml` of a folder as a park description; return the parks by id.

    Raises:
        ConfigError: with the problems of all files; also for an empty folder or a park described twice.
    """
    problems: list[Problem] = []
    parks: dict[str, Park] = {}
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        problems.append(Problem(str(folder), 0, 0, "holds no park description (*.yaml)"))
    for path in paths:
        try:
            park = load_park(path)
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        if park.id in parks:
            problems.append(Problem(str(path), 0, 0, f"park {park.id!r} is described twice"))
        parks[park.id] = park
    if problems:
        raise ConfigError(problems)
    return parks
