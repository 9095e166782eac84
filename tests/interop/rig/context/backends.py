"""The last services of the chain, gRPC C-core's and Python's own: they keep what they are asked."""

import json
import select
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc

HOST = "127.0.0.1"

# Nobody hangs for longer than this.
PATIENCE = 5.0

# Seconds: C-core says how long it is to the end of time where there is no deadline.
FOREVER = 1e6


class Calls:
    """What was asked, one caller at a time; and how it is answered."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._seen: list[dict[str, Any]] = []
        # "answers", "fails" or "hangs" until the call is cancelled.
        self._does = "answers"

    def expect(self, does: str) -> None:
        """Forgets what was seen; from now on does this."""
        with self._changed:
            self._does, self._seen = does, []

    def seen(self) -> list[dict[str, Any]]:
        """What was asked, once all of it has ended."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._running, 2 * PATIENCE):
                raise RuntimeError("a backend hangs")
            return self._seen

    def serve(
        self, left: float | None, fields: Iterable[tuple[str, str]], cancelled: Callable[[], bool]
    ) -> bool:
        """Keeps what a call says, and how many milliseconds it has; whether it succeeds."""
        call: dict[str, Any] = {"left": left, "fields": grouped(fields), "cancelled": False}
        with self._changed:
            self._running += 1
            self._seen.append(call)
            does = self._does
        if does == "hangs":
            call["cancelled"] = cancelled()
        with self._changed:
            self._running -= 1
            self._changed.notify_all()
        return does == "answers"


def grouped(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Values by name, joined as they may be."""
    made: dict[str, str] = {}
    for name, value in fields:
        name = name.lower()
        made[name] = f"{made[name]},{value}" if name in made else value
    return made


class Grpc(grpc.GenericRpcHandler):
    """A server of C-core: any unary method."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port(f"{HOST}:0")
        self._server.start()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The handler of a call."""
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def stop(self) -> None:
        """Ends it."""
        self._server.stop(0)

    def _answer(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        ended = threading.Event()
        if not context.add_callback(ended.set):
            ended.set()
        left = context.time_remaining()
        millis = None if left is None or left > FOREVER else left * 1000
        fields = [(name, str(value)) for name, value in context.invocation_metadata()]
        if not self._calls.serve(millis, fields, lambda: ended.wait(PATIENCE)):
            context.abort(grpc.StatusCode.UNAVAILABLE, "as told")
        return message


class Web:
    """A server of HTTP/1.1: any path."""

    def __init__(self, calls: Calls) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """Answers nothing to a call that is cancelled, of which the connection tells."""
                said = self.headers.get("x-envoy-expected-rq-timeout-ms")
                left = None if said is None else float(said)
                gone = threading.Event()

                def cancelled() -> bool:
                    if is_closed(self.connection):
                        gone.set()
                    return gone.is_set()

                succeeds = calls.serve(left, self.headers.items(), cancelled)
                if gone.is_set():
                    self.close_connection = True
                    return
                self.send_response_only(200 if succeeds else 503)
                self.send_header("content-length", "0")
                self.end_headers()

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Takes no more connections."""
        self._server.shutdown()
        self._server.server_close()


def is_closed(connection: socket.socket) -> bool:
    """Whether the peer closes the connection in good time."""
    readable, _, _ = select.select([connection], [], [], PATIENCE)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


def services(grpc_port: int, http_port: int) -> str:
    """All that the relay calls, in the mesh's short form."""
    made: dict[str, Any] = {}
    for of_retries, name in (("once", "once"), ("retry", "usual")):
        for protocol, on, port in (
            ("grpc", "unavailable", grpc_port),
            ("http", "5xx", http_port),
        ):
            made[f"{protocol}-{name}"] = {
                "protocol": protocol,
                "timeout": "0s",
                "retry": {"on": on, "of_retries": of_retries},
                "versions": {"v1": f"{HOST}:{port}"},
            }
    return json.dumps({"version": "mesh/v1", "services": made})
