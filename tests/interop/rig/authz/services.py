"""An authorization service in both of its forms, and what stands behind Envoy."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf import json_format

from rig.rbac.scene import Message

SERVICE = "envoy.service.auth.v3.Authorization"
PROTOCOLS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
HOST = "127.0.0.1"


class Authorization:
    """Answers as it is told to, and keeps what it was asked; one question at a time."""

    def __init__(self) -> None:
        # What is answered: a CheckResponse, or status, headers and body; None is a broken service.
        self.answer: Message | None = {}
        # What was asked since this was last emptied.
        self.asked: list[Message] = []
        self._grpc = grpc.server(ThreadPoolExecutor(2))
        method = grpc.unary_unary_rpc_method_handler(
            self._check,
            external_auth_pb2.CheckRequest.FromString,
            external_auth_pb2.CheckResponse.SerializeToString,
        )
        self._grpc.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Check": method}),)
        )
        self._grpc_port = self._grpc.add_insecure_port(f"{HOST}:0")
        self._grpc.start()
        self._http = Web(self._authorize)
        self._backend = Web(seen)
        # A port that is bound and at which nobody listens.
        self._nobody = socket.socket()
        self._nobody.bind((HOST, 0))

    def clusters(self) -> list[Message]:
        """All that the filters and the routes name."""
        nobody = self._nobody.getsockname()[1]
        return [
            cluster("grpc", self._grpc_port, HTTP2),
            cluster("http", self._http.port, HTTP1),
            cluster("grpc-nobody", nobody, HTTP2),
            cluster("http-nobody", nobody, HTTP1),
            cluster("backend", self._backend.port, HTTP1),
        ]

    def stop(self) -> None:
        """Ends all of them."""
        self._grpc.stop(0)
        self._http.stop()
        self._backend.stop()
        self._nobody.close()

    def _check(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append(flattened(request.attributes))
        if self.answer is None:
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        return json_format.ParseDict(self.answer or {}, external_auth_pb2.CheckResponse())

    def _authorize(self, request: Message) -> tuple[int, list[tuple[str, str]], bytes]:
        fields = grouped(request.pop("headers"))
        self.asked.append({**request, **{f"header.{name}": it for name, it in fields.items()}})
        answer = {"status": 503} if self.answer is None else self.answer
        body = str(answer.get("body", "")).encode()
        return answer.get("status", 200), pairs(answer.get("headers", {})), body


def flattened(attributes: Any) -> Message:
    """A CheckRequest by names of fields, without what no two of them have alike."""
    http = attributes.request.http
    made: Message = {
        name: getattr(http, name)
        for name in ("method", "path", "host", "scheme", "query", "fragment", "size", "protocol")
    }
    made["body"], made["raw_body"] = http.body, http.raw_body.decode("latin-1")
    made["header_map"] = len(http.header_map.headers)
    made["has_time"] = attributes.request.HasField("time")
    for name in ("source", "destination"):
        peer = getattr(attributes, name)
        made[f"{name}.address"] = peer.address.socket_address.address
        made[f"{name}.principal"] = peer.principal
        made[f"{name}.service"] = peer.service
        made[f"{name}.certificate"] = peer.certificate
    made |= {f"header.{name}": value for name, value in http.headers.items()}
    made |= {f"extension.{name}": it for name, it in attributes.context_extensions.items()}
    return made


def seen(request: Message) -> tuple[int, list[tuple[str, str]], bytes]:
    """The answer of the backend: what it was asked."""
    return 200, [("content-type", "application/json")], json.dumps(request).encode()


def pairs(headers: Message) -> list[tuple[str, str]]:
    """Header fields, of which one may have several values."""
    return [
        (name, str(one))
        for name, it in headers.items()
        for one in (it if isinstance(it, list) else [it])
    ]


def grouped(fields: list[tuple[str, str]]) -> dict[str, str]:
    """Header fields by name, those of one name joined as they may be."""
    made: dict[str, str] = {}
    for name, value in fields:
        name = name.lower()
        made[name] = f"{made[name]},{value}" if name in made else value
    return made


class Web:
    """A server of HTTP/1.1, whose answers a function makes."""

    def __init__(self, answers: Any) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                """Any method."""
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                request = {
                    "method": self.command,
                    "path": self.path,
                    "headers": list(self.headers.items()),
                    "body": self._body().decode("latin-1"),
                }
                status, headers, body = answers(request)
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _body(self) -> bytes:
                if self.headers.get("transfer-encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("content-length", 0)))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Takes no more connections."""
        self._server.shutdown()
        self._server.server_close()


def cluster(name: str, port: int, more: Message) -> Message:
    """A cluster of one address."""
    address = {"socket_address": {"address": HOST, "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    assignment = {"cluster_name": name, "endpoints": endpoints}
    return {"name": name, "type": "STATIC", "load_assignment": assignment, **more}


def speaking(protocol: str) -> Message:
    """What a cluster speaks. The mesh speaks HTTP/2 where nothing is said, and Envoy HTTP/1.1."""
    options = {
        "@type": f"type.googleapis.com/{PROTOCOLS}",
        "explicit_http_config": {protocol: {}},
    }
    return {"typed_extension_protocol_options": {PROTOCOLS: options}}


HTTP1 = speaking("http_protocol_options")
HTTP2 = speaking("http2_protocol_options")
