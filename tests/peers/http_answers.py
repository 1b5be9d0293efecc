"""A stand-in for an InfluxDB that answers what a real one seldom does: 429, 503, redirects, a proxy's page.

It gives the answers it was told in order, the last one again and again, and keeps the requests. Where it is
told to take its time over each answer, it counts how many requests it had at once.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `dribble_s` = pause before each byte of it, headers included."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    dribble_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as received."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpAnswers:
    """The running stand-in."""

    url: str
    requests: list[Request]
    #: Requests that were open when each request came, itself included.
    at_once: list[int]


@contextmanager
def answering(answers: Sequence[Answer], *, takes_s: float = 0.0) -> Iterator[HttpAnswers]:
    """Answer on a free loopback port while the block runs, each request after `takes_s`."""
    requests: list[Request] = []
    at_once: list[int] = []
    open_requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            requests.append(Request(self.command, self.path, dict(self.headers), body))
            answer = answers[min(len(requests), len(answers)) - 1]
            open_requests.append(self.path)
            at_once.append(len(open_requests))
            time.sleep(takes_s)
            open_requests.remove(self.path)
            if answer.dribble_s:
                self._dribble(answer)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def _dribble(self, answer: Answer) -> None:
            head = f"HTTP/1.1 {answer.status} Slow\r\nContent-Length: {len(answer.body)}\r\n\r\n"
            with suppress(OSError):
                for byte in head.encode() + answer.body:
                    time.sleep(answer.dribble_s)
                    self.wfile.write(bytes([byte]))

        do_GET = _answer  # noqa: N815 - the base class's names
        do_POST = _answer  # noqa: N815 - likewise

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's signature
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield HttpAnswers(f"http://127.0.0.1:{server.server_address[1]}", requests, at_once)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
