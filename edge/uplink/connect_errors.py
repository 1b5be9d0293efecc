"""Why the broker could not be reached: exceptions of sockets and TLS as texts with what to do."""

import socket
import ssl

from edge.uplink.link_end import Cause, End


def unreached(error: Exception) -> End:
    """Return the end of a try that reached no broker."""
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
