"""The folder of park descriptions while a program runs: whether one of them has been edited.

An edit is noticed by name, size and time of the files. Faulty descriptions are reported once per edit; the
caller goes on with the ones before.
"""

from pathlib import Path

from metering.errors import ConfigError, Problem
from metering.park.file import load_parks
from metering.park.model import Park
from metering.program.config import did_you_mean


class DescriptionsFolder:
    """Every park of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._look()

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        try:
            found = [(path.name, path.stat()) for path in sorted(self._folder.glob("*.yaml"))]
        except OSError:  # a file that disappears meanwhile is an edit, too
            return ()
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)

    def maybe_edited(self) -> dict[str, Park] | None:
        """Return the parks, read again, when a file was edited since the last call.

        Raises:
            ConfigError: when the descriptions are faulty now.
        """
        seen = self._look()
        if seen == self._seen:
            return None
        self._seen = seen
        return load_parks(self._folder)


class ParkFolder:
    """One park of a folder."""

    def __init__(self, folder: Path, park: str) -> None:
        self._parks = DescriptionsFolder(folder)
        self._folder = folder
        self._park = park

    def maybe_edited(self) -> Park | None:
        """Return the park, read again, when a file was edited since the last call.

        Raises:
            ConfigError: when the descriptions are faulty now, or the park is gone.
        """
        maybe_parks = self._parks.maybe_edited()
        return None if maybe_parks is None else _chosen(maybe_parks, self._folder, self._park)


def load_one_park(folder: Path, park: str) -> Park:
    """Read one park of a folder.

    Raises:
        ConfigError: when the descriptions are faulty, or the park is not among them.
    """
    return _chosen(load_parks(folder), folder, park)


def _chosen(parks: dict[str, Park], folder: Path, park: str) -> Park:
    if park not in parks:
        hint = did_you_mean(park, parks)
        raise ConfigError([Problem(str(folder), 0, 0, f"describes no park {park!r}{hint}")])
    return parks[park]
