"""Reads from a park's raw database what its registry begins with: `meters`, and ids that have series."""

import logging
from collections.abc import Iterator

from ingest.store.contract import Store
from ingest.validation.announcements import Announcement, decode_announcement
from ingest.validation.registry import Registry
from metering.park.model import Park
from metering.quantities import Medium
from metering.series import METERS, raw_database

_LOGGER = logging.getLogger(__name__)


def load_registry(store: Store, park: Park) -> Registry:
    """Build the registry of a park from what is stored.

    Raises:
        StoreError: when the store cannot be read.
    """
    return Registry(
        park,
        announced=read_announcements(store, park.id),
        stored_meters=_read_meters(store, raw_database(park.id)),
    )


def read_announcements(store: Store, park: str) -> Iterator[Announcement]:
    """Yield the announcements in a park's series `meters`, in any order; logs and skips what is none.

    Raises:
        StoreError: when the store cannot be read.
    """
    database = raw_database(park)
    for series in store.query(database, f'SELECT * FROM "{METERS}" GROUP BY "gateway", "meter"'):
        for row in series.rows:
            try:
                yield decode_announcement(series.tags, dict(zip(series.columns, row, strict=True)))
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
                _LOGGER.warning("%s: a point of %r cannot be read, skipped: %s", database, METERS, error)


def _read_meters(store: Store, database: str) -> Iterator[str]:
    """Yield the ids that have series."""
    # InfluxDB has no placeholder for names, but these are a closed list of ours.
    measurements = ", ".join(f'"{medium}"' for medium in Medium)
    for series in store.query(database, f'SHOW TAG VALUES FROM {measurements} WITH KEY = "meter"'):
        position = series.columns.index("value")
        for row in series.rows:
            yield row[position]
