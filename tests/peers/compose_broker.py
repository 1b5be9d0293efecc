"""A real Mosquitto with docker/mosquitto.conf; only its ports and the folder of secrets are others."""

import getpass
from pathlib import Path

from ingest.config import load_config
from simulators.demo.servers import Mosquitto, free_port

_DOCKER = Path(__file__).parents[2] / "docker"
_GATEWAYS_PORT = 1883


class ComposeBroker(Mosquitto):
    """`port` is the gateways' listener, `ingest_port` that of ingest."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        named = load_config(_DOCKER / "ingest.yaml").broker.port
        self._ports = {_GATEWAYS_PORT: self.port}
        self.ingest_port = self._ports.setdefault(named, free_port())

    def _configuration(self) -> str:
        text = (_DOCKER / "mosquitto.conf").read_text(encoding="utf-8")
        for written, port in self._ports.items():
            text = text.replace(f"listener {written}\n", f"listener {port} 127.0.0.1\n")
        return f"{text.replace('/secrets/', f'{self.folder}/secrets/')}user {getpass.getuser()}\n"
