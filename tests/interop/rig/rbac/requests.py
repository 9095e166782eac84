"""Sending requests exactly as they are."""

import socket
import ssl
from functools import cache
from pathlib import Path

from rig.rbac.scene import Ask

# What is said instead of a status where a connection is closed without one.
CLOSED = 0


FORBIDDEN = 403
PERMISSION_DENIED = b"grpc-status: 7"


def status(address: tuple[str, int], ask: Ask, certificates: Path | None = None) -> int:
    """What a server answers to a request on a connection of its own, gRPC's answer as HTTP's.

    With TLS if there are `certificates`.
    """
    lines = [f"{ask.method} {ask.path} HTTP/1.1", f"host: {ask.host}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in ask.headers]
    request = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    answer = b""
    with socket.create_connection(address, 10, (ask.source, 0)) as plain:
        # Or the request waits until the server acknowledges the end of the handshake.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with secured(plain, ask, certificates) if certificates else plain as io:
                io.sendall(request)
                while b"\r\n\r\n" not in answer and (more := io.recv(4096)):
                    answer += more
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return CLOSED
    if not answer:
        return CLOSED
    head = answer.split(b"\r\n\r\n")[0].split(b"\r\n")
    return FORBIDDEN if PERMISSION_DENIED in head else int(head[0].split(b" ", 2)[1])


def secured(plain: socket.socket, ask: Ask, certificates: Path) -> ssl.SSLSocket:
    """The connection with TLS, to whoever it is."""
    name = ask.server_name or None
    return context(ask.identity, certificates).wrap_socket(plain, server_hostname=name)


@cache
def context(identity: str, certificates: Path) -> ssl.SSLContext:
    """A client that shows a certificate, if it has an identity."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if identity:
        made.load_cert_chain(certificates / f"{identity}.pem", certificates / f"{identity}.key")
    return made
