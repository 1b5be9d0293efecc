"""The stores: InfluxDB 1.x, 2.x and (experimental) 3, each with its paths."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import orjson

from ingest.store import influxql
from ingest.store.connection import Connection
from ingest.store.contract import Series, Store
from ingest.store.errors import StoreDenied, StoreRefused
from ingest.store.settings import Flavour, StoreConfig

_NOT_FOUND = 404
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _InfluxQlStore:
    """What all flavours share: `/query` in InfluxQL, which 2.x maps from bucket names by itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def query(self, database: str, influxql: str, params: Mapping[str, Any] | None = None) -> list[Series]:
        """Ask in InfluxQL."""
        form = {"db": database, "q": influxql, "epoch": "ms", "chunked": "true"}
        if params:
            form["params"] = orjson.dumps(params).decode()
        return self._connection.query(form)

    def exists(self, database: str) -> bool:
        """Tell whether there is one."""
        found = self.query("", "SHOW DATABASES")
        return any(row[0] == database for series in found for row in series.rows)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()


class Influx1(_InfluxQlStore):
    """InfluxDB 1.x, from 1.6.

    Writes into one database wait for each other. 1.6.7 loses points that it has answered with 204 when
    several connections are the first to write into a shard at the same moment: no query finds them until a
    restart reads them from its log (tried: 18 of 3,600 new databases, 8 connections each, on a busy machine).
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._writing: dict[str, Lock] = {}

    def write(self, database: str, lines: bytes) -> None:
        """Write line protocol."""
        with self._writing.setdefault(database, Lock()):
            self._connection.write("/write", {"db": database, "precision": "ms"}, lines)

    def delete(
        self, database: str, measurement: str, *, tags: Mapping[str, str], start_ms: int, stop_ms: int
    ) -> None:
        """Delete a span of points."""
        condition = influxql.where(tags, start_ms=start_ms, stop_ms=stop_ms)
        self.query(database, f"DELETE FROM {influxql.name(measurement)} WHERE {condition}")

    def ensure(self, database: str) -> bool:
        """Create it where it is missing."""
        if self.exists(database):
            return False
        self.query("", f"CREATE DATABASE {influxql.name(database)}")
        return True


class Influx2(_InfluxQlStore):
    """InfluxDB 2.x: a database is a bucket of the organisation."""

    def __init__(self, connection: Connection, org: str) -> None:
        super().__init__(connection)
        self._org = org

    def write(self, database: str, lines: bytes) -> None:
        """Write line protocol."""
        self._connection.write(
            "/api/v2/write", {"org": self._org, "bucket": database, "precision": "ms"}, lines
        )

    def delete(
        self, database: str, measurement: str, *, tags: Mapping[str, str], start_ms: int, stop_ms: int
    ) -> None:
        """Delete a span of points."""
        # Keys are quoted, because `group` is a word of InfluxQL: bare it is a "bad tag key" (tried).
        predicate = " AND ".join(
            f"{influxql.name(key)}={influxql.name(value)}"
            for key, value in {"_measurement": measurement, **tags}.items()
        )
        self._connection.call(
            "POST",
            "/api/v2/delete",
            query={"org": self._org, "bucket": database},
            # 2.x deletes the stop too; one nanosecond earlier is right for either reading.
            body={"start": _rfc3339(start_ms), "stop": _rfc3339_just_before(stop_ms), "predicate": predicate},
        )

    def exists(self, database: str) -> bool:
        """Tell whether there is one."""
        return self.maybe_bucket_id(database) is not None

    def ensure(self, database: str) -> bool:
        """Create it where it is missing."""
        if self.exists(database):
            return False
        bucket = {"orgID": self.org_id(), "name": database, "retentionRules": []}
        self._connection.call("POST", "/api/v2/buckets", body=bucket)
        return True

    def maybe_bucket_id(self, database: str) -> str | None:
        """Return the id of a bucket by name."""
        try:
            found = self._connection.call(
                "GET", "/api/v2/buckets", query={"org": self._org, "name": database}
            )
        except StoreDenied as error:
            if error.status != _NOT_FOUND:
                raise
            return None
        return next((str(bucket["id"]) for bucket in found["buckets"]), None)

    def org_id(self) -> str:
        """Return the organisation's id.

        Raises:
            StoreError: also when the token is for buckets alone: then there is an empty list (tried on 2.8).
        """
        found = self._connection.call("GET", "/api/v2/orgs", query={"org": self._org})
        if not found["orgs"]:
            raise StoreDenied(f"organisation {self._org!r} is hidden from this token", status=_NOT_FOUND)
        return str(found["orgs"][0]["id"])

    def create_token(self, databases: Sequence[str], *, description: str, may_write: bool) -> str:
        """Create a token for some databases; the secret is returned and nowhere kept.

        Raises:
            StoreError: also when a database does not exist.
        """
        org_id = self.org_id()
        actions = ("read", "write") if may_write else ("read",)
        buckets = [{"type": "buckets", "id": self._bucket_id(name), "orgID": org_id} for name in databases]
        permissions = [{"action": action, "resource": bucket} for bucket in buckets for action in actions]
        body = {"orgID": org_id, "description": description, "permissions": permissions}
        created = self._connection.call("POST", "/api/v2/authorizations", body=body)
        return str(created["token"])

    def _bucket_id(self, database: str) -> str:
        maybe_id = self.maybe_bucket_id(database)
        if maybe_id is None:
            raise StoreDenied(f"bucket {database!r} does not exist", status=_NOT_FOUND)
        return maybe_id


class Influx3(_InfluxQlStore):
    """InfluxDB 3 as a write path; experimental: it cannot delete, so nothing is rolled up there."""

    def write(self, database: str, lines: bytes) -> None:
        """Write line protocol."""
        self._connection.write("/api/v2/write", {"bucket": database, "precision": "ms"}, lines)

    def delete(
        self, database: str, measurement: str, *, tags: Mapping[str, str], start_ms: int, stop_ms: int
    ) -> None:
        """Delete a span of points."""
        span = influxql.where(tags, start_ms=start_ms, stop_ms=stop_ms)
        raise StoreRefused(f"InfluxDB 3 cannot delete from {database}.{measurement} where {span}")

    def ensure(self, database: str) -> bool:
        """Create it where it is missing."""
        if self.exists(database):
            return False
        self._connection.call("POST", "/api/v3/configure/database", body={"db": database})
        return True

    def exists(self, database: str) -> bool:
        """Tell whether there is one."""
        found = self.query("", "SHOW DATABASES")
        return any(database in row for series in found for row in series.rows)


def _rfc3339(time_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=influxql.within_reach(time_ms))).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _rfc3339_just_before(time_ms: int) -> str:
    last_us = _EPOCH + timedelta(milliseconds=influxql.within_reach(time_ms)) - timedelta(microseconds=1)
    return last_us.strftime("%Y-%m-%dT%H:%M:%S.%f") + "999Z"


def open_store(config: StoreConfig) -> Store:
    """Make the store of a configuration; connects at the first request.

    Raises:
        ConfigError: when a secret cannot be read.
    """
    # Compressing costs more than a loopback interface does.
    connection = Connection(config, compresses=urlsplit(config.url).hostname not in _LOOPBACK)
    if config.flavour is Flavour.ONE:
        return Influx1(connection)
    return Influx3(connection) if config.flavour is Flavour.THREE else Influx2(connection, config.org or "")
