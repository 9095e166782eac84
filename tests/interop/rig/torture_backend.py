"""The backend of the torture list on C-core's server: what tests/torture/server is on hyper.

Three ports: without limits, one stream at a time, and connections that go away. C-core cannot be
made to go away after a number of requests; it does so after a tenth of a second instead.
"""

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

# C-core closes a connection of age although the answer to its last ping, which measures bandwidth,
# has not been read. The system then resets the connection, and answers on their way are lost for
# every client. Without such pings there is nothing unread.
OPTIONS = (
    (),
    (("grpc.max_concurrent_streams", 1),),
    (("grpc.max_connection_age_ms", 100), ("grpc.http2.bdp_probe", 0)),
)


class Case:
    """What has reached the handlers of a case."""

    def __init__(self) -> None:
        self.calls = 0
        self.cancelled = 0
        self.ids: Counter[str] = Counter()
        self.connections: set[str] = set()
        self.release = threading.Semaphore(0)


class Ledger:
    """Calls by case."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cases: defaultdict[str, Case] = defaultdict(Case)

    def enter(self, name: str, number: str, connection: str) -> None:
        """Counts a call."""
        with self._lock:
            case = self._cases[name]
            case.calls += 1
            case.ids[number] += 1
            case.connections.add(connection)

    def cancel(self, name: str) -> None:
        """Counts a call whose answer had not ended when its stream did."""
        with self._lock:
            self._cases[name].cancelled += 1

    def release(self, name: str) -> threading.Semaphore:
        """What a handler of the case waits for that reads only when it is told to."""
        with self._lock:
            return self._cases[name].release

    def report(self, name: str) -> str:
        """Everything about a case in words and numbers."""
        with self._lock:
            case = self._cases[name]
            twice = case.calls - len(case.ids)
            return (
                f"calls {case.calls} cancelled {case.cancelled}"
                f" twice {twice} connections {len(case.connections)}"
            )


class Torture(grpc.GenericRpcHandler):
    """Does what the method says."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The handler of a call."""
        method = details.method.rpartition("/")[2]

        def answer(asks: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            if method in ("Report", "Release"):
                case = next(asks).decode()
                if method == "Release":
                    self._ledger.release(case).release()
                yield self._ledger.report(case).encode()
                return
            metadata = dict(context.invocation_metadata())
            case = metadata["x-case"]
            self._ledger.enter(case, metadata["x-id"], context.peer())
            ended = threading.Event()
            answered = False

            def end() -> None:
                ended.set()
                if not answered:
                    self._ledger.cancel(case)

            context.add_callback(end)
            if method == "Refuse":
                answered = True
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")
            time.sleep(int(metadata.get("x-pause-ms", "0")) / 1000)
            if method == "Hold":
                self._ledger.release(case).acquire()
            yield from play(method, asks)
            if method == "Hang":
                ended.wait()
            answered = True

        return grpc.stream_stream_rpc_method_handler(answer)


def play(method: str, asks: Iterator[bytes]) -> Iterator[bytes]:
    """What a method answers."""
    if method == "Chat":
        yield from asks
    elif method in ("Count", "Hold"):
        sizes = [len(ask) for ask in asks]
        yield f"{len(sizes)} {sum(sizes)}".encode()
    elif method == "Flood":
        for _ in range(int(next(asks))):
            yield b"x"
    elif method == "Early":
        yield b"early"
    elif method == "Hang":
        for _ in asks:
            yield bytes(16 * 1024)


def main() -> None:
    """Serves, prints the addresses, and ends with its standard input."""
    ledger = Ledger()
    threads = ThreadPoolExecutor(128)
    servers, addresses = [], []
    for options in OPTIONS:
        server = grpc.server(threads, options=options)
        server.add_generic_rpc_handlers((Torture(ledger),))
        addresses.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        server.start()
        servers.append(server)
    print(*addresses, flush=True)
    sys.stdin.read()
    for server in servers:
        server.stop(None)


main()
