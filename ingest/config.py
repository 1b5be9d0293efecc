"""ingest.yaml: parsed once into frozen models, without touching the network.

`load_config` reads it and makes every relative path absolute, counted from the file's folder.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from ingest.store.settings import StoreConfig
from metering.program.addresses import Address
from metering.program.config import Location, Model, load
from metering.program.connection import Broker, HttpAddress, maybe_below

#: An instance stands in topics, file names and the `late` tag.
INSTANCE_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"


class ClockSource(StrEnum):
    """Whether the kernel must report that the clock is right."""

    NTP = "ntp"
    TRUSTED = "trusted"


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
        """Return the same with relative paths below the folder."""
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
