"""Reads the park descriptions that dashboards are made for."""

from pathlib import Path

from dashboards.model.site import Site, to_site
from metering.park.file import load_park, load_parks


def load_sites(path: Path) -> tuple[Site, ...]:
    """Read a park description, or every one in a folder.

    Raises:
        ConfigError: with every problem found.
    """
    parks = load_parks(path) if path.is_dir() else {"": load_park(path)}
    return tuple(to_site(park) for park in parks.values())
