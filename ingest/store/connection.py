"""The client's connection: requests out, answers or our errors back.

influxdb-client's own write and query methods speak only 2.x; on 1.x its connection is used with the 1.x
paths. Nothing is retried here: the caller knows what an answer means for its rows. But after a refusal the
secret is read anew for the next request, so that a mended password or token needs no restart.
"""

import logging
import zlib
from collections.abc import Mapping
from typing import Any, Protocol

import orjson
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException

from ingest.store.answers import to_error, to_series
from ingest.store.contract import Series
from ingest.store.errors import StoreDenied, StoreError, StoreUnavailable
from ingest.store.settings import Flavour, StoreConfig
from ingest.store.time_limit import Answers, pool_classes
from metering.errors import ConfigError

_LOGGER = logging.getLogger(__name__)

_NO_CONTENT = 204
_CONNECT_TIMEOUT_S = 5.0
#: Level 1 takes line protocol to a seventh; higher levels cost more than a local network.
_GZIP_LEVEL = 1
_GZIP_WBITS = 31


class _Answer(Protocol):
    """What we use of urllib3's response."""

    status: int

    def read(self) -> bytes: ...


class Connection:
    """Requests over the client's pool; its and urllib3's errors end here."""

    def __init__(self, config: StoreConfig, *, compresses: bool) -> None:
        self._config = config
        self._options = _options(config)
        self._answers = Answers()
        self._client = self._new_client()
        self._is_denied = False
        self._timeout_ms = (_CONNECT_TIMEOUT_S * 1000, config.timeout_s * 1000)
        self._compresses = compresses
        self._url = config.url

    def write(self, path: str, query: Mapping[str, str], lines: bytes) -> None:
        """Post line protocol."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._compresses:
            headers["Content-Encoding"] = "gzip"
            lines = zlib.compress(lines, _GZIP_LEVEL, _GZIP_WBITS)
        status, body = self._call(
            "POST", path, query_params=list(query.items()), header_params=headers, body=lines
        )
        if status != _NO_CONTENT:
            raise StoreDenied(f"a write was answered {body[:200]!r}: is this InfluxDB?", status=status)

    def query(self, form: Mapping[str, str]) -> list[Series]:
        """Post a form to `/query`."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        _, body = self._call("POST", "/query", header_params=headers, post_params=dict(form))
        try:
            return to_series(body)
        except StoreDenied:
            self._is_denied = True
            raise

    def call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> Any:  # noqa: ANN401 - JSON
        """Send JSON, get JSON."""
        parameters = list((query or {}).items())
        _, answer = self._call(method, path, query_params=parameters, header_params={}, body=body)
        return orjson.loads(answer) if answer else None

    def _call(self, method: str, path: str, **request: Any) -> tuple[int, bytes]:  # noqa: ANN401 - the client's own arguments
        if self._is_denied:
            self._read_secret_anew()
        try:
            answer: _Answer = self._client.api_client.call_api(
                path,
                method,
                **request,
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=self._timeout_ms,
            )
            return answer.status, answer.read()
        except ApiException as error:
            cause = _sorted(error)
            self._is_denied = isinstance(cause, StoreDenied)
            raise cause from error
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailable(f"InfluxDB at {self._url} does not answer: {error}") from error

    def _read_secret_anew(self) -> None:
        """Take another client if the secret is another one; the old client ends with other threads' requests.

        Also where a database is said to be missing: 2.x hides from a token what it is not for.
        """
        self._is_denied = False
        try:
            options = _options(self._config)
        except ConfigError:
            # The file is just being replaced: the old secret is refused once more, and then it is read again.
            return
        if options != self._options:
            _LOGGER.info("InfluxDB at %s: the secret has changed", self._url)
            self._options = options
            self._client = self._new_client()

    # Any: the client ships annotations, but not for what is called of it here.
    def _new_client(self) -> Any:  # noqa: ANN401
        client = InfluxDBClient(self._config.url, **self._options)
        client.api_client.rest_client.pool_manager.pool_classes_by_scheme = pool_classes(self._answers)
        return client

    def close(self) -> None:
        """End what still waits for an answer, and close the pool."""
        self._answers.end()
        self._client.close()


def _options(config: StoreConfig) -> dict[str, Any]:
    options: dict[str, Any] = {"ssl_ca_cert": None if config.ca_file is None else str(config.ca_file)}
    if config.flavour is not Flavour.ONE:
        options |= {"token": config.maybe_token(), "org": config.org}
    elif config.username is not None:
        # 1.6.7 refuses `Token user:password`; with auth_basic the client sends Basic.
        options |= {"token": f"{config.username}:{config.maybe_password()}", "auth_basic": True}
    return options


def _sorted(error: ApiException) -> StoreError:
    if not error.status:
        # Status 0 is the client's word for a TLS failure.
        return StoreUnavailable(str(error.reason))
    headers: Mapping[str, str] = error.headers or {}
    return to_error(error.status, error.body or b"", retry_after=headers.get("Retry-After"))
