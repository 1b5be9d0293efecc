"""What a store does, whatever the version of InfluxDB."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer.

    Attributes:
        name: Measurement.
        tags: Those of GROUP BY.
        columns: Names; the first is `time`, in UTC milliseconds since 1970.
        rows: One value per column; `None` where there is none. A whole number comes as `int`, from a float
            field too: JSON does not tell them apart.
    """

    name: str
    tags: Mapping[str, str]
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class Store(Protocol):
    """InfluxDB, synchronous and safe to use from several threads.

    Every method raises `ingest.store.errors.StoreError`: `StoreUnavailable` may work later, `StoreDenied`
    needs a person, `StoreTooLarge` a smaller body, `StoreRefused` another body or query.
    """

    def write(self, database: str, lines: bytes) -> None:
        """Write line protocol, times in milliseconds; a point that is there already is merged by field."""

    def query(self, database: str, influxql: str, params: Mapping[str, Any] | None = None) -> list[Series]:
        """Ask in InfluxQL, `$name` standing for a value of `params`; all statements' series in order."""

    def delete(
        self, database: str, measurement: str, *, tags: Mapping[str, str], start_ms: int, stop_ms: int
    ) -> None:
        """Delete the points of a measurement with these tags, `start_ms` included, `stop_ms` excluded."""

    def ensure(self, database: str) -> bool:
        """Create a database that keeps its points for ever; needs an administrator. True = created."""

    def exists(self, database: str) -> bool:
        """Tell whether there is a database that we may see."""

    def close(self) -> None:
        """Close the connections; requests that still wait for an answer end with `StoreUnavailable`."""


@runtime_checkable
class TokenMaker(Protocol):
    """A store whose InfluxDB knows tokens per database (2.x)."""

    def create_token(self, databases: Sequence[str], *, description: str, may_write: bool) -> str:
        """Create a token for some databases; the secret is returned and nowhere kept."""
