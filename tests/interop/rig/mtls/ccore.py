"""gRPC C-core with credentials from xDS, as a process: servers, and a client.

`server NAME...` serves each name at a port of its own and prints `NAME PORT`. `client` makes a call
to each target that comes on stdin, on a channel of its own, and prints what came of it as JSON.
"""

import json
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc.experimental import insecure_channel_credentials

METHOD = "/echo.Echo/Say"
SECONDS = 10


class Echo(grpc.GenericRpcHandler):
    """Says who has called."""

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The handler of every call."""

        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            names = context.auth_context().get("peer_spiffe_id", [b""])
            context.send_initial_metadata((("x-peer-spiffe", names[0].decode()),))
            return b"{}"

        return grpc.unary_unary_rpc_method_handler(answer)


def serve(names: list[str]) -> None:
    """Starts a server for each name."""
    credentials = grpc.xds_server_credentials(grpc.insecure_server_credentials())
    kept = []
    for name in names:
        # A port that is bound is nobody else's, and C-core may still share it.
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        server = grpc.server(ThreadPoolExecutor(1), handlers=(Echo(),), xds=True)
        server.add_secure_port(f"127.0.0.1:{port}", credentials)
        server.start()
        kept.append((held, server))
        print(f"{name} {port}", flush=True)
    threading.Event().wait()


def call(target: str) -> dict[str, str]:
    """What comes of one call."""
    credentials = grpc.xds_channel_credentials(insecure_channel_credentials())
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"xds:///{target}", credentials, options) as channel:
        done = channel.unary_unary(METHOD).future(b"", SECONDS)
        code, details = done.code(), done.details()
        headers = {name: str(value) for name, value in done.initial_metadata() or ()}
    peer = headers.get("x-peer-spiffe", "")
    return {"why": "" if code is grpc.StatusCode.OK else f"{code.name}: {details}", "peer": peer}


def main() -> None:
    """As the command line says."""
    if sys.argv[1] == "server":
        serve(sys.argv[2:])
    for line in sys.stdin:
        print(json.dumps(call(line.strip())), flush=True)


if __name__ == "__main__":
    main()
