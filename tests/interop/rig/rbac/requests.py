"""Sending requests exactly as they are."""

import socket

from rig.rbac.scene import Ask

# What is said instead of a status where a connection is closed without one.
CLOSED = 0


FORBIDDEN = 403
PERMISSION_DENIED = b"grpc-status: 7"


def status(address: tuple[str, int], ask: Ask) -> int:
    """What a server answers to a request on a connection of its own, gRPC's answer as HTTP's."""
    lines = [f"{ask.method} {ask.path} HTTP/1.1", f"host: {ask.host}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in ask.headers]
    request = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    with socket.create_connection(address, 10, (ask.source, 0)) as io:
        answer = b""
        try:
            io.sendall(request)
            while b"\r\n\r\n" not in answer and (more := io.recv(4096)):
                answer += more
        except (ConnectionResetError, BrokenPipeError):
            return CLOSED
    if not answer:
        return CLOSED
    head = answer.split(b"\r\n\r\n")[0].split(b"\r\n")
    return FORBIDDEN if PERMISSION_DENIED in head else int(head[0].split(b" ", 2)[1])
