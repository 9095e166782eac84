"""A backend on grpcio's server: any unary method, answered as mesh-echo does.

`/status/CODE` fails with that code.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc


class Echo(grpc.GenericRpcHandler):
    """Answers every method."""

    def __init__(self, name: str) -> None:
        self._name = name

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The handler of a call."""

        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            context.send_initial_metadata((("x-backend", self._name),))
            if details.method.startswith("/status/"):
                context.abort(grpc.StatusCode[details.method.rpartition("/")[2]], "as asked")
            return json.dumps({"name": self._name, "path": details.method}).encode()

        return grpc.unary_unary_rpc_method_handler(answer)


def main() -> None:
    """Serves as the name that is given, and prints the address."""
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Echo(sys.argv[1]),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    threading.Event().wait()


main()
