"""ingest.yaml: parsed once into frozen models, without touching the network.

`load_config` reads it and makes every relative path absolute, counted from the file's folder.
"""

from collections.abc import Iterator
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from metering.program.config import Location, Model, load
from metering.program.connection import Broker, HttpAddress, maybe_below, maybe_secret
from metering.program.local_http import Address

#: An instance stands in topics, file names and the `late` tag.
INSTANCE_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"


class Flavour(IntEnum):
    """Major version of InfluxDB: decides paths and authorisation. 3 is experimental."""

    ONE = 1
    TWO = 2
    THREE = 3


class ClockSource(StrEnum):
    """Whether the kernel must say that the clock is right."""

    NTP = "ntp"
    TRUSTED = "trusted"


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
        """Give the same with relative paths below the folder."""
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


class JournalConfig(Model):
    """Where the journal is and how long it is kept."""

    path: Path | None = Field(default=None, description="Folder; default: journal/ below data")
    keep_days: int | None = Field(default=None, ge=1, description="Default: for ever")


class QuarantineConfig(Model):
    """How much of the quarantine a gateway may fill, and how long it is kept."""

    keep_days: int = Field(
        default=365, ge=1, description="Older entries are deleted; their messages stay in the journal"
    )
    max_mb_per_gateway_and_day: float = Field(
        default=100.0,
        gt=0,
        description="Beyond it, a gateway's messages with rows to set aside are not taken until the next day"
        " (UTC); the gateway keeps them",
    )


class IngestConfig(Model):
    """ingest.yaml."""

    instance: Annotated[str, Field(pattern=INSTANCE_PATTERN)] = Field(
        default="1", description="Name of this process among several that serve the same parks"
    )
    broker: Broker
    store: StoreConfig
    parks: Path = Field(description="Folder: every *.yaml in it describes a park")
    data: Path = Field(description="Folder of journal and quarantine")
    journal: JournalConfig = JournalConfig()
    quarantine: QuarantineConfig = QuarantineConfig()
    clock: ClockSource = Field(
        default=ClockSource.TRUSTED,
        description="ntp: nothing is stored before the kernel says that NTP keeps the clock",
    )
    share_group: Annotated[str, Field(pattern=INSTANCE_PATTERN)] | None = Field(
        default=None, description="Instances with the same one take turns with the data of their parks"
    )
    http: HttpAddress = Field(
        default=Address("127.0.0.1", 9102), description="Local pages; port 0: a free one"
    )

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Yield the store's problems at their place."""
        for location, message in self.store.problems():
            yield ("store", *location), message

    def below(self, folder: Path) -> Self:
        """Give the same with relative paths below the folder."""
        journal = self.journal.model_copy(update={"path": maybe_below(folder, self.journal.path)})
        return self.model_copy(
            update={
                "broker": self.broker.below(folder),
                "store": self.store.below(folder),
                "parks": folder / self.parks,
                "data": folder / self.data,
                "journal": journal,
            }
        )

    @property
    def journal_folder(self) -> Path:
        """Folder of the journal's segments."""
        return self.journal.path or self.data / "journal"

    @property
    def quarantine_folder(self) -> Path:
        """Folder of the quarantine's files."""
        return self.data / "quarantine"


def load_config(path: Path) -> IngestConfig:
    """Read ingest.yaml.

    Raises:
        ConfigError: with every problem found.
    """
    return load(path, IngestConfig).below(path.absolute().parent)
