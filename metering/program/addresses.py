"""Hosts and ports as people write them. Pure."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from metering.program.mistakes import shown

_MAX_PORT = 65535
_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?")
_PORT = re.compile(r"[0-9]{1,5}")
_IN_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.%\w]*)\](?::(.*))?")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; to listen, port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 0

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(written: object, *, min_port: int = 1, maybe_port: int | None = None) -> object:
    """Read `host:port`.

    Args:
        written: The text in the file.
        min_port: Smallest port; 0 where any free one is allowed.
        maybe_port: Port where only a host is written.

    Raises:
        ValueError: when it has another form.
    """
    if isinstance(written, Address):
        return written
    host, port = _split("" if written is None else str(written))
    if not host or (port is None and maybe_port is None) or not _PORT.fullmatch(port or "0"):
        form = "host:port" if maybe_port is None else "host or host:port"
        raise ValueError(f"{shown(written)} is not {form}")
    number = maybe_port if port is None else int(port)
    if number is None or not min_port <= number <= _MAX_PORT:
        raise ValueError(f"{shown(written)}: port {port} is not {min_port} to {_MAX_PORT}")
    return Address(str(parse_host(host)), number)


def parse_host(written: object) -> object:
    """Check a host name or address.

    Raises:
        ValueError: when it is neither.
    """
    if not isinstance(written, str):
        return written
    if not _is_host(written):
        raise ValueError(f"{shown(written)} is not a host name or address{_hint(written)}")
    return written


def _is_host(text: str) -> bool:
    try:
        if ":" in text:
            IPv6Address(text)
        elif text.rstrip(".").rpartition(".")[2].isdecimal():
            # A name whose last part is a number can only be an address.
            IPv4Address(text)
    except ValueError:
        return False
    return ":" in text or _HOST.fullmatch(text) is not None


def _split(text: str) -> tuple[str, str | None]:
    """Return host and port; several colons without brackets are an IPv6 address without a port."""
    maybe_match = _IN_BRACKETS.fullmatch(text)
    if maybe_match is not None:
        return maybe_match[1], maybe_match[2]
    if text.count(":") != 1:
        return text, None
    host, _, port = text.partition(":")
    return host, port


def _hint(written: str) -> str:
    scheme, slashes, _ = written.partition("//")
    if slashes:
        return f"; leave out {scheme + slashes!r}"
    return "; host and port are two keys" if _PORT.fullmatch(written.partition(":")[2]) else ""
