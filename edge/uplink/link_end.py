"""How a connection to the broker ended, as a text with what to do about it. Pure.

Exceptions are turned into an `End` by `edge.uplink.connect_errors`. Numbers are reason codes of MQTT 5.0,
section 2.4; their names come with them.
"""

from dataclasses import dataclass
from enum import StrEnum

_BAD_USER_OR_PASSWORD = 134
_NOT_AUTHORIZED = 135
_SESSION_TAKEN_OVER = 142
_KEEP_ALIVE_TIMEOUT = 141


class Cause(StrEnum):
    """Why a connection or a try ended."""

    UNREACHED = "no connection could be made"
    REFUSED = "the broker did not accept us"
    TAKEN_OVER = "another client uses our id"
    BROKEN = "an accepted connection ended"


@dataclass(frozen=True, slots=True)
class End:
    """The end of a connection or of a try; equal causes have equal texts."""

    cause: Cause
    text: str


def refused(code: int, name: str, *, maybe_user: str | None) -> End:
    """Return the end of a try that the broker answered with a refusal."""
    text = f"the broker refuses the connection: {name}"
    if code in (_BAD_USER_OR_PASSWORD, _NOT_AUTHORIZED):
        user = "a client without username" if maybe_user is None else f"user {maybe_user!r}"
        text = f"the broker refuses {user}: {name}; check username and password"
    return End(Cause.REFUSED, text)


def closed(code: int, name: str, *, by_broker: bool, was_accepted: bool, client_id: str) -> End:
    """Return the end of a connection that was established.

    Args:
        code: Reason code.
        name: Its name.
        by_broker: Whether the broker sent it; otherwise the library assumes it.
        was_accepted: Whether the broker had accepted us.
        client_id: Our id at the broker.
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
    """Return the text for two programs with one client id, with what to do."""
    verb = "most likely connects" if is_guess else "has connected"
    return (
        f"another client {verb} as {client_id!r}, and the broker closes our connection;"
        " each gateway needs an id of its own: is another machine a copy of this one?"
    )
