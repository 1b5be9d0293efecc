"""Mosquitto's password and ACL files for the parks of a folder. Pure.

Each gateway is a user of its own, `<park>.<gateway>`, who may write and read its own topics and no others;
ingest is the user `ingest`. `user` sections, not `pattern` lines: a pattern with `%u` would let a gateway
write into every park.

A client that takes the client id of another one disconnects it. So the broker has two listeners
(docker/mosquitto.conf): on the one for gateways the user name is the client id (`use_username_as_clientid`);
ingest, which has a connection per park, uses one whose password file has no other user.

Source of the hash: Mosquitto 2.0 `src/password_mosq.c`, PBKDF2-HMAC-SHA512 over 12 random bytes of salt.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from metering.messages import topics
from metering.park.model import Park

INGEST_USER = "ingest"
SALT_BYTES = 12
#: mosquitto_passwd's own number; the passwords have 256 random bits, which no number of rounds could add to.
_ITERATIONS = 101


def hashed(password: str, salt: bytes) -> str:
    """Return a password's entry: `$7$<iterations>$<salt>$<hash>`."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def gateway_user(park: str, gateway: str) -> str:
    """Name a gateway's user; ids hold no dot, so no two gateways share a name."""
    return f"{park}.{gateway}"


def rules(parks: Iterable[Park]) -> Mapping[str, Sequence[str]]:
    """Return each user's ACL lines: ingest, and every gateway that holds or held a meter of the parks."""
    by_user: dict[str, Sequence[str]] = {INGEST_USER: tuple(_ingest_rules())}
    for park in parks:
        gateways = {gateway for meter in park.meters.values() for gateway in meter.gateway.values}
        for gateway in sorted(gateways):
            by_user[gateway_user(park.id, gateway)] = tuple(_gateway_rules(park.id, gateway))
    return by_user


def _ingest_rules() -> Iterator[str]:
    """Every park's topics: a park that is added later needs no new rule."""
    for of_gateways in (topics.data("+", "+"), topics.birth("+", "+"), topics.status("+", "+")):
        yield f"topic read {of_gateways}"
    yield f"topic write {topics.ack('+', '+')}"
    yield f"topic readwrite {topics.ingest_status('+')}"
    yield f"topic write {topics.ingest_event('+', '+')}"


def _gateway_rules(park: str, gateway: str) -> Iterator[str]:
    for own in (topics.data(park, gateway), topics.birth(park, gateway), topics.status(park, gateway)):
        yield f"topic write {own}"
    yield f"topic read {topics.ack(park, gateway)}"
    yield f"topic read {topics.ingest_status(park)}"


def password_file(passwords: Mapping[str, str]) -> str:
    """Return the text of the password file from hashed passwords by user."""
    return "".join(f"{user}:{entry}\n" for user, entry in passwords.items())


def users_in(text: str) -> Mapping[str, str]:
    """Read a password file: hashed passwords by user."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {user: entry for user, _, entry in pairs}


def acl_sections(by_user: Mapping[str, Sequence[str]]) -> str:
    """Return the text of users' sections in an ACL file."""
    return "".join(
        f"user {user}\n" + "".join(f"{line}\n" for line in by_user[user]) + "\n" for user in by_user
    )


def users_in_acl(text: str) -> frozenset[str]:
    """Return the users that have a section in an ACL file."""
    lines = (line.split() for line in text.splitlines())
    return frozenset(words[1] for words in lines if words[:1] == ["user"] and words[1:])
