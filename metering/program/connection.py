"""How a program reaches the broker and where it listens: the parts of the configuration that all share.

Secrets stand in files or environment variables that the configuration names; they are read when a connection
is made, never printed, and never part of a model. Relative paths are relative to the configuration file:
`below` makes them absolute.
"""

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from metering.errors import ConfigError, Problem
from metering.program.addresses import Address, parse_address, parse_host
from metering.program.config import Model

_HTTP_PATTERN = r"^([^:]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$"
_MAX_PORT = 65535

#: `host:port` in a file where a program listens; port 0 takes a free one.
HttpAddress = Annotated[
    Address,
    BeforeValidator(partial(parse_address, min_port=0)),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _HTTP_PATTERN}),
]
HostName = Annotated[str, BeforeValidator(parse_host)]


class Tls(Model):
    """TLS to the broker; without `ca_file` the system's authorities are trusted."""

    ca_file: Path | None = Field(default=None, description="Authority that signed the broker's certificate")
    cert_file: Path | None = Field(default=None, description="Certificate of this client")
    key_file: Path | None = Field(default=None, description="Private key of this client")

    def context(self) -> ssl.SSLContext:
        """Read the files.

        Raises:
            ConfigError: with the path of one that cannot be used.
        """
        with _named("ca_file", self.ca_file):
            context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            if self.key_file is not None:
                with _named("key_file", self.key_file):
                    self.key_file.read_bytes()
            with _named("cert_file", self.cert_file):
                context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def below(self, folder: Path) -> Self:
        """Return the same with relative paths below the folder."""
        return self.model_copy(
            update={
                "ca_file": maybe_below(folder, self.ca_file),
                "cert_file": maybe_below(folder, self.cert_file),
                "key_file": maybe_below(folder, self.key_file),
            }
        )


class Broker(Model):
    """The MQTT broker, and the user that connects to it."""

    host: HostName = Field(description="Name or address of the broker")
    port: int = Field(default=1883, ge=1, le=_MAX_PORT, description="Usually 1883, with TLS 8883")
    username: str | None = Field(default=None, description="`ingest`, or PARK.GATEWAY for a gateway")
    password_file: Path | None = Field(default=None, description="File that holds the password")
    password_env: str | None = Field(default=None, description="Environment variable that holds it")
    tls: Tls | None = None

    def below(self, folder: Path) -> Self:
        """Return the same with relative paths below the folder."""
        return self.model_copy(
            update={
                "password_file": maybe_below(folder, self.password_file),
                "tls": None if self.tls is None else self.tls.below(folder),
            }
        )

    def maybe_password(self) -> str | None:
        """Read the password.

        Raises:
            ConfigError: when it cannot be read.
        """
        return maybe_secret(self.password_file, self.password_env)

    def unusable_files(self) -> Iterator[Problem]:
        """Yield what is wrong, on this machine and now, with files and variables that a connection needs."""
        needed: list[Callable[[], object]] = [self.maybe_password]
        if self.tls is not None:
            needed.append(self.tls.context)
        for read in needed:
            try:
                read()
            except ConfigError as error:
                yield from error.problems


@contextmanager
def _named(key: str, path: Path | None) -> Iterator[None]:
    """Add the file to errors of the file system and of TLS, which do not name it."""
    try:
        yield
    except ssl.SSLError as error:
        text = f"{key} cannot be used: it holds no certificate or key that fits ({error.reason or error})"
    except OSError as error:
        text = f"{key} cannot be read: {error.strerror}"
    else:
        return
    raise ConfigError([Problem(str(path), 0, 0, text)])


def maybe_below(folder: Path, path: Path | None) -> Path | None:
    """Make a path absolute, counted from a folder."""
    return None if path is None else folder / path


def maybe_secret(file: Path | None, variable: str | None) -> str | None:
    """Read a secret from a file, else from an environment variable; `None` when neither is named.

    Raises:
        ConfigError: when the file cannot be read or is empty, or the variable is not set.
    """
    if file is None:
        return None if variable is None else _from_environment(variable)
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        text = f"secret cannot be read: {error.strerror}"
        raise ConfigError([Problem(str(file), 0, 0, text)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(file), 0, 0, f"secret cannot be read: {error}")]) from error
    if not secret:
        raise ConfigError([Problem(str(file), 0, 0, "secret is empty")])
    return secret


def _from_environment(variable: str) -> str:
    secret = os.environ.get(variable, "")
    if not secret:
        raise ConfigError([Problem(f"${variable}", 0, 0, "environment variable with a secret is not set")])
    return secret
