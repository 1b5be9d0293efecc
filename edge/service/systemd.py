"""What a service tells systemd: ready, alive, stopping (sd_notify(3)); without systemd, nothing."""

import os
import socket


def notify(state: str) -> None:
    """Send a state such as `READY=1` to the socket that systemd named, if it did."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        # The abstract namespace.
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(state.encode(), address)
        except OSError:
            # A watchdog that hears nothing restarts us; a message lost now and then is none of our business.
            return
