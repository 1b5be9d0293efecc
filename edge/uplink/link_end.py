"""How a connection to the broker ended, in words that say what to do.

Numbers are reason codes of MQTT 5.0, 2.4; their names come with them.
"""

import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum

_BAD_USER_OR_PASSWORD = 134
_NOT_AUTHORIZED = 135
_SESSION_TAKEN_OVER = 142
_KEEP_ALIVE_TIMEOUT = 141


class Cause(StrEnum):
    """Whose doing it was."""

    UNREACHED = "no connection could be made"
    REFUSED = "the broker did not accept us"
    TAKEN_OVER = "another client has our name"
    BROKEN = "an accepted connection ended"


@dataclass(frozen=True, slots=True)
class End:
    """The end of a connection, or of a try; the text is the same for the same cause."""

    cause: Cause
    text: str


def unreached(error: Exception) -> End:
    """Return the end of a try that met nobody."""
    return End(Cause.UNREACHED, _why(error))


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}; is ca_file this broker's authority, and host its name?"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}; does the broker speak TLS at this port?"
    if isinstance(error, socket.gaierror):
        return f"the name of the host cannot be resolved ({error.strerror})"
    if isinstance(error, ConnectionResetError):
        return "the connection was closed at once; does the broker speak TLS at this port?"
    if isinstance(error, TimeoutError):
        return "no answer"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def refused(code: int, name: str, *, maybe_user: str | None) -> End:
    """Return the end of a try that the broker answered with a refusal."""
    text = f"the broker refuses the connection: {name}"
    if code in (_BAD_USER_OR_PASSWORD, _NOT_AUTHORIZED):
        user = "a client without username" if maybe_user is None else f"user {maybe_user!r}"
        text = f"the broker refuses {user}: {name}; check username and password"
    return End(Cause.REFUSED, text)


def closed(code: int, name: str, *, by_broker: bool, was_accepted: bool, client_id: str) -> End:
    """Return the end of a connection that stood.

    Args:
        code: Reason code.
        name: Its name.
        by_broker: Whether the broker gave it; else it is the library's guess.
        was_accepted: Whether the broker had accepted us.
        client_id: Our name at the broker.
    """
    if code == _SESSION_TAKEN_OVER:
        return End(Cause.TAKEN_OVER, taken_over(client_id))
    if not was_accepted:
        text = "the connection was closed before the broker accepted it; does it want TLS at this port?"
        return End(Cause.UNREACHED, text)
    if by_broker:
        return End(Cause.BROKEN, f"the broker ended the connection: {name}")
    if code == _KEEP_ALIVE_TIMEOUT:
        return End(Cause.BROKEN, "the broker did not answer any more")
    return End(Cause.BROKEN, "the connection was closed without a reason")


def taken_over(client_id: str, *, is_guess: bool = False) -> str:
    """Return what to do when two programs use one name."""
    verb = "most likely connects" if is_guess else "has connected"
    return (
        f"another client {verb} as {client_id!r}, and the broker closes our connection;"
        " each gateway needs an id of its own: is another machine a copy of this one?"
    )
