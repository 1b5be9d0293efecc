"""The folder of a demo: configuration, data and logs; emptied at each start, used by one demo at a time.

The configuration files are the park's own (`simulators/parks/<park>`), with this run's paths and ports filled
in.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from simulators.demo.servers import free_port
from simulators.errors import DemoFailed, DemoIsRunning

# A file in every folder that a demo may empty.
_MARK = ".zonewise-demo"
PARKS = Path(__file__).parents[1] / "parks"


@dataclass(frozen=True, slots=True)
class Site:
    """Files and ports of one run.

    Attributes:
        folder: Everything is below it.
        http: Address of each program's local pages, by program.
    """

    folder: Path
    http: dict[str, str]

    @property
    def logs(self) -> Path:
        """Folder of the programs' logs."""
        return self.folder / "logs"

    @property
    def simulated(self) -> Path:
        """Description of the simulated park."""
        return self.folder / "sim.yaml"

    @property
    def ingest(self) -> Path:
        """Configuration of ingest and rollup."""
        return self.folder / "ingest.yaml"

    @property
    def socket(self) -> Path:
        """Control socket of the simulated park."""
        return self.folder / "park.sock"

    def gateway(self, name: str) -> Path:
        """Configuration of a gateway."""
        return self.folder / f"{name}.yaml"


@contextmanager
def empty_folder(folder: Path) -> Iterator[None]:
    """Lock the folder for one demo, and empty it; only folders made by a demo are emptied.

    Raises:
        DemoIsRunning: when another one has locked it.
        DemoFailed: when something else is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The lock is on the folder itself, so that emptying it does not lose the lock.
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoIsRunning(f"another demo runs in {folder}; stop it first") from None
        _empty(folder)
        yield
    finally:
        os.close(held)


def _empty(folder: Path) -> None:
    mark = folder / _MARK
    entries = tuple(folder.iterdir())
    if entries and not mark.exists():
        raise DemoFailed(f"{folder} is not empty and not a demo's; name an empty folder")
    mark.touch()
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != mark:
            entry.unlink()


def write_site(folder: Path, park: Path, *, broker_port: int, store_url: str) -> Site:
    """Write the configuration of a run.

    Args:
        folder: Empty.
        park: Folder with `park.yaml`, `sim.yaml`, `ingest.yaml` and a file per gateway.
        broker_port: Mosquitto's.
        store_url: InfluxDB's.
    """
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "parks").mkdir(exist_ok=True)
    site = Site(folder, {})
    shutil.copy(park / "sim.yaml", site.simulated)
    shutil.copy(park / "park.yaml", folder / "parks" / "park.yaml")
    for source in sorted(park.glob("gw-*.yaml")):
        gateway = _read(source)
        name = str(gateway["gateway"])
        for bus in gateway["buses"].values():
            if "tcp" in bus:
                bus["tcp"] = _free_address()
            if "serial" in bus:
                bus["serial"] = str(folder / bus["serial"])
        _write(site, name, gateway, broker_port)
    ingest = _read(park / "ingest.yaml")
    ingest["store"]["url"] = store_url
    _write(site, "ingest", ingest, broker_port)
    return site


def _write(site: Site, name: str, settings: dict[str, Any], broker_port: int) -> None:
    settings["broker"] = {"host": "127.0.0.1", "port": broker_port}
    settings["http"] = site.http[name] = _free_address()
    path = site.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return settings


def _free_address() -> str:
    return f"127.0.0.1:{free_port()}"
