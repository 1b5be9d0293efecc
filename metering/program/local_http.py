"""The local HTTP API of a program: a few read-only pages on loopback, served by a thread of its own.

It serves the command line, people and Prometheus. It never touches the event loop: a page is a function that
returns a snapshot, so a busy program still answers, and a slow client delays no other.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from metering.errors import CannotListen
from metering.program.addresses import Address

_LOGGER = logging.getLogger(__name__)
_CLIENT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


#: Page functions by path (`/metrics`); each returns a snapshot and must be safe to call from any thread.
Routes = Mapping[str, Callable[[], Page]]


@contextmanager
def serving(address: Address, routes: Routes) -> Iterator[Address]:
    """Serve the routes while the block runs; yields the address with its real port.

    Raises:
        CannotListen: with the reason and the setting to change.
    """
    server = _open(address, routes)
    thread = threading.Thread(target=server.serve_forever, name="local-http", daemon=True)
    thread.start()
    try:
        yield Address(address.host, server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind; the HTTP server's own method also looks up the host name in the DNS, which may take long."""
        TCPServer.server_bind(self)


class _ServerV6(_Server):
    address_family = socket.AF_INET6


def _open(address: Address, routes: Routes) -> _Server:
    kind = _ServerV6 if ":" in address.host else _Server
    try:
        return kind((address.host, address.port), _handler(routes))
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {address}: {error.strerror}; is the program running already? Otherwise set"
            " `http` to another address (port 0 takes a free port)"
        ) from error


def _handler(routes: Routes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_TIMEOUT_S
        server_version = "zonewise"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(_page(routes, self.path.partition("?")[0]))

        def _answer(self, page: Page) -> None:
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class's signature
            _LOGGER.debug("%s " + format, self.address_string(), *args)  # noqa: G003 - its format string is ours

    return Handler


def _page(routes: Routes, path: str) -> Page:
    maybe_route = routes.get(path)
    if maybe_route is not None:
        return maybe_route()
    known = "\n".join(sorted(routes))
    return Page(f"not here; there is\n{known}\n".encode(), "text/plain; charset=utf-8", 404)
