"""Where InfluxDB is: the part of a configuration that names a store."""

from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from metering.program.config import Location, Model
from metering.program.connection import maybe_below, maybe_secret


class Flavour(IntEnum):
    """Major version of InfluxDB: decides paths and authorisation. 3 is experimental."""

    ONE = 1
    TWO = 2
    THREE = 3


class StoreConfig(Model):
    """Where InfluxDB is, and who we are to it."""

    flavour: Flavour = Field(description="Major version of InfluxDB; 3 is experimental")
    url: Annotated[str, Field(pattern=r"^https?://", description="Address of its HTTP API")]
    username: str | None = Field(default=None, description="Flavour 1 with authorisation switched on")
    password_file: Path | None = Field(default=None, description="File with the password")
    password_env: str | None = Field(default=None, description="Environment variable with the password")
    token_file: Path | None = Field(default=None, description="Flavours 2 and 3")
    token_env: str | None = Field(default=None, description="Environment variable with the token")
    org: str | None = Field(default=None, description="Flavour 2")
    ca_file: Path | None = Field(default=None, description="Authority of the server's certificate")
    timeout_s: float = Field(default=30.0, gt=0, description="For a write, a query or a deletion")

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield what does not fit the flavour."""
        if self.flavour is Flavour.ONE:
            yield from self._flavour_1_problems()
        elif self.token_file is None and self.token_env is None:
            yield (), f"flavour {self.flavour} needs token_file or token_env"
        if self.flavour is Flavour.TWO and self.org is None:
            yield (), "flavour 2 needs org"

    def _flavour_1_problems(self) -> Iterator[tuple[Location, str]]:
        has_password = self.password_file is not None or self.password_env is not None
        if (self.username is not None) is not has_password:
            yield (), "username and password_file (or password_env) belong together"
        if self.token_file is not None or self.token_env is not None:
            yield (), "flavour 1 knows no tokens: use username and password_file"

    def below(self, folder: Path) -> Self:
        """Return the same with relative paths below the folder."""
        return self.model_copy(
            update={
                "password_file": maybe_below(folder, self.password_file),
                "token_file": maybe_below(folder, self.token_file),
                "ca_file": maybe_below(folder, self.ca_file),
            }
        )

    def maybe_password(self) -> str | None:
        """Read the password of flavour 1.

        Raises:
            ConfigError: when it cannot be read.
        """
        return maybe_secret(self.password_file, self.password_env)

    def maybe_token(self) -> str | None:
        """Read the token of flavours 2 and 3.

        Raises:
            ConfigError: when it cannot be read.
        """
        return maybe_secret(self.token_file, self.token_env)
