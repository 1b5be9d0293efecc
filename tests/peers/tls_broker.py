"""A real Mosquitto that wants a certificate from each client."""

import shutil
import subprocess
from pathlib import Path

import pytest

from simulators.demo.servers import Mosquitto


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1; gives certificate and key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


class TlsMosquitto(Mosquitto):
    """Uses the certificate that `make_certificate` made in the folder above its own, for itself and clients."""

    def _configuration(self) -> str:
        certificate, key = self.folder.parent / "cert.pem", self.folder.parent / "key.pem"
        own = f"certfile {certificate}\nkeyfile {key}\n"
        return f"{super()._configuration()}{own}cafile {certificate}\nrequire_certificate true\n"
