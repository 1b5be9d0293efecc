"""HTTP answers that must be whole within the time-out, and requests that can be ended from outside.

urllib3's read time-out begins anew with each piece of an answer: a server or proxy that sends a byte a second
would hold a request for ever. Here the time-out counts from the first wait for the answer to its last byte.
`Answers.end` ends the requests that wait for one, with the error of a lost connection.
"""

import http.client
import io
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class Answers:
    """The answers that are waited for; used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def begin(self, sock: socket.socket) -> None:
        """Note that an answer is waited for."""
        with self._lock:
            self._sockets.add(sock)

    def done(self, sock: socket.socket) -> None:
        """Note that no caller waits any more."""
        with self._lock:
            self._sockets.discard(sock)

    def end(self) -> None:
        """End every request that waits for its answer."""
        with self._lock:
            waiting = tuple(self._sockets)
        for sock in waiting:
            with suppress(OSError):  # the other side was faster
                sock.shutdown(socket.SHUT_RDWR)


class _WithinTime(io.RawIOBase):
    """The bytes of one answer, until its deadline."""

    def __init__(self, sock: socket.socket, answers: Answers) -> None:
        self._socket = sock
        self._answers = answers
        # Keeps the socket open for the answer, as `makefile` does, after its connection is given back.
        self._bytes: Any = sock.makefile("rb", buffering=0)
        maybe_timeout_s = sock.gettimeout()
        self._deadline_s = None if maybe_timeout_s is None else time.monotonic() + maybe_timeout_s
        answers.begin(sock)

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - any writable buffer
        """Read what comes, or wait for it until the deadline.

        Raises:
            TimeoutError: at the deadline.
        """
        if self._deadline_s is not None:
            left_s = self._deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the answer is not whole within the time-out")
            self._socket.settimeout(left_s)
        count: int | None = self._bytes.readinto(buffer)
        return count

    def close(self) -> None:
        """Close the answer, not the connection."""
        if not self.closed:
            self._answers.done(self._socket)
            self._bytes.close()
        super().close()


class _AnswerSocket:
    """What http.client needs of a socket to read one answer."""

    def __init__(self, sock: socket.socket, answers: Answers) -> None:
        self._socket = sock
        self._answers = answers

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_WithinTime(self._socket, self._answers))


def pool_classes(answers: Answers) -> dict[str, type]:
    """Return urllib3's pools by scheme, such that every answer has its deadline and is noted in `answers`."""

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - the base class's
            super().__init__(_AnswerSocket(sock, answers), *arguments, **named)  # type: ignore[arg-type] # reads only

    class Plain(HTTPConnection):
        response_class = Response

    class Encrypted(HTTPSConnection):
        response_class = Response

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}
