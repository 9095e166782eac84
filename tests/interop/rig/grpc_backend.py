"""A backend on grpcio's server: any unary method, answered as mesh-echo does.

`/status/CODE` fails with that code. As a rate limit service it lets pass and says in `x-asked` what
it was asked, or refuses what counts as `over`, or says nothing of what counts as `unknown`.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from envoy.service.ratelimit.v3 import rls_pb2

LIMIT = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"


def limit(message: bytes) -> bytes:
    """The answer of a rate limit service."""
    asked = rls_pb2.RateLimitRequest.FromString(message)
    words = [asked.domain]
    values = {entry.value for descriptor in asked.descriptors for entry in descriptor.entries}
    if "unknown" in values:
        return b""
    over = "over" in values
    for descriptor in asked.descriptors:
        parts = [f"{entry.key}={entry.value}" for entry in descriptor.entries]
        if descriptor.HasField("limit"):
            parts.append(f"limit {descriptor.limit.requests_per_unit}/{descriptor.limit.unit}")
        if descriptor.HasField("hits_addend"):
            parts.append(f"hits {descriptor.hits_addend.value}")
        words.append(",".join(parts))
    response = rls_pb2.RateLimitResponse(raw_body=b"too often" if over else b"")
    code = rls_pb2.RateLimitResponse.OVER_LIMIT if over else rls_pb2.RateLimitResponse.OK
    response.overall_code = code
    response.response_headers_to_add.add(key="x-asked", value="|".join(words))
    status = response.statuses.add(code=code, limit_remaining=3)
    status.current_limit.requests_per_unit = 7
    status.current_limit.unit = rls_pb2.RateLimitResponse.RateLimit.MINUTE
    status.current_limit.name = "all"
    status.duration_until_reset.seconds = 30
    return response.SerializeToString()


class Echo(grpc.GenericRpcHandler):
    """Answers every method."""

    def __init__(self, name: str) -> None:
        self._name = name

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The handler of a call."""

        def answer(message: bytes, context: grpc.ServicerContext) -> bytes:
            if details.method == LIMIT:
                return limit(message)
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
