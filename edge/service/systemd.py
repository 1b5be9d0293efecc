"""Messages to systemd: ready, alive, stopping (sd_notify(3)). Without systemd nothing is sent."""

import os
import socket


def notify(state: str) -> None:
    """Send a state such as `READY=1` to the socket in NOTIFY_SOCKET, if it is set."""
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
            # Ignore send errors; the watchdog covers them.
            return
