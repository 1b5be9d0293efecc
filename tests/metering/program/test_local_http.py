"""The local pages: where they can be served."""

import socket
import urllib.request

import pytest

from metering.errors import CannotListen
from metering.program.addresses import Address
from metering.program.local_http import Page, serving


def test_an_ipv6_address_serves_too() -> None:
    with serving(Address("::1"), {"/healthz": lambda: Page(b"ok")}) as address:
        assert str(address).startswith("[::1]:")
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=10) as answer:
            assert answer.read() == b"ok"


def test_a_taken_port_and_a_foreign_address_are_told_with_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=r"127\.0\.0\.1:\d+: Address already in use.*`http`"):
            serving(Address("127.0.0.1", port), {}).__enter__()
    with pytest.raises(CannotListen, match=r"cannot listen on nowhere\.invalid"):
        serving(Address("nowhere.invalid"), {}).__enter__()
