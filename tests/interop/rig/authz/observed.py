"""What comes of a request: what the service is asked, what the client and the backend see."""

import http.client
import json
import socket
from typing import Any

from rig.authz.services import Authorization, grouped, pairs
from rig.authz.table import Question, Table
from rig.rbac.scene import SIDES, Message

# What is observed, by path: `asked.path`, `client.header.x-a`, `seen.body`.
Observed = dict[str, Any]


def observe(service: Authorization, port: int, question: Question) -> Observed:
    """What comes of asking at `port`."""
    service.answer, service.asked = question.answer, []
    status, headers, body = send(port, question.request)
    made: Observed = {"asked": len(service.asked), "client.status": status}
    for asked in service.asked:
        made |= {f"asked.{name}": value for name, value in asked.items()}
    made["seen"] = headers.pop("content-type", "") == "application/json"
    made |= {f"client.header.{name}": value for name, value in headers.items()}
    if not made["seen"]:
        return {**made, "client.body": body.decode("latin-1")}
    seen = json.loads(body)
    fields = grouped(seen.pop("headers"))
    made |= {f"seen.{name}": value for name, value in seen.items()}
    return made | {f"seen.header.{name}": value for name, value in fields.items()}


def send(port: int, request: Message) -> tuple[int, dict[str, str], bytes]:
    """The answer to a request on a connection of its own."""
    method, path = request.get("method", "GET"), request.get("path", "/a")
    body = str(request.get("body", "")).encode("latin-1")
    lines = [f"{method} {path} HTTP/1.1", f"host: {request.get('host', 'shop')}"]
    lines += ["connection: close"]
    lines += [f"{name}: {value}" for name, value in pairs(request.get("headers", {}))]
    if request.get("chunked"):
        lines += ["transfer-encoding: chunked"]
        body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    elif "body" in request:
        lines += [f"content-length: {len(body)}"]
    with socket.create_connection(("127.0.0.1", port), 10) as io:
        io.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        io.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        answer = http.client.HTTPResponse(io, method=method)
        answer.begin()
        return answer.status, grouped(answer.getheaders()), answer.read()


def differences(table: Table, question: Question, came: dict[str, Observed]) -> list[str]:
    """All that is not as the table says, a line for each path."""
    always = {it["path"]: it for it in table.always}
    wrong = []
    for path in sorted({*came["envoy"], *came["mesh"], *question.expect, *question.differs}):
        shown = {side: came[side].get(path) for side in SIDES}
        if path in question.differs:
            wanted = question.differs[path]
        elif path in question.expect:
            wanted = dict.fromkeys(SIDES, question.expect[path])
        elif path in table.ignored:
            continue
        elif path in always and path in came["envoy"]:
            wanted = {side: always[path][side] for side in SIDES}
        else:
            wanted = dict.fromkeys(SIDES, shown["envoy"])
        if shown != wanted:
            wrong.append(f"{path}: {shown}; expected {wanted}")
    return wrong
