"""A control plane in Python on xds-protos: both variants of ADS, written apart from ours."""

import itertools
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import any_pb2

from rig import protos
from rig.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, Message, name_of

# Users before what they use would break; this order never does.
ORDER = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
# Types of which a response has all resources that are wanted, so that what lacks does not exist.
WHOLE = (CLUSTER, LISTENER)

Set = dict[str, dict[str, bytes]]


@dataclass
class Wanted:
    """One type on one stream."""

    names: set[str] = field(default_factory=set)
    wildcard: bool = False
    # What the client was sent last (SotW) or has (delta); None stands for "does not exist".
    sent: dict[str, bytes | None] | None = None
    nonce: str = ""
    answered: bool = True
    refusal: str | None = None
    # Names whose state the client asked to be told, though it may not have changed.
    asked: set[str] = field(default_factory=set)

    def due(self, resources: dict[str, bytes]) -> dict[str, bytes | None]:
        """What the client should have."""
        if self.wildcard:
            names = set(resources) | self.names
        else:
            names = self.names
        return {name: resources.get(name) for name in sorted(names)}


@dataclass
class Stream:
    """One stream."""

    delta: bool
    events: "queue.SimpleQueue[Any]" = field(default_factory=queue.SimpleQueue)
    types: dict[str, Wanted] = field(default_factory=dict)
    node: str = ""
    revision: int = 0
    idle: bool = False


class PythonControlPlane(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):
    """Serves one set of resources to everybody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resources: Set = {}
        self._revision = 0
        self._streams: list[Stream] = []
        self._nonces = itertools.count(1)
        self.port = 0
        self.start()

    def start(self) -> None:
        """Starts it, at the same address as before."""
        self._server = grpc.server(ThreadPoolExecutor(32))
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def push(self, resources: list[Message]) -> None:
        """Serves exactly these resources from now on."""
        pushed: Set = {}
        for it in resources:
            value = protos.message(it).SerializeToString(deterministic=True)
            pushed.setdefault(it["@type"], {})[name_of(it)] = value
        with self._lock:
            self._resources = pushed
            self._revision += 1
            for stream in self._streams:
                stream.idle = False
                stream.events.put("pushed")

    def has(self, node: str) -> bool:
        """Whether the node was sent all it wants of the last push, and answered."""
        with self._lock:
            mine = [stream for stream in self._streams if stream.node == node]
            return bool(mine) and all(
                stream.idle
                and stream.revision == self._revision
                and all(wanted.answered for wanted in stream.types.values())
                for stream in mine
            )

    def refusals(self, node: str) -> list[str]:
        """What the node refuses of the last push, and why."""
        with self._lock:
            return [
                f"{kind}: {wanted.refusal}"
                for stream in self._streams
                if stream.node == node and stream.revision == self._revision
                for kind, wanted in stream.types.items()
                if wanted.refusal is not None
            ]

    def stop(self) -> None:
        """Ends it. Its clients lose their streams."""
        with self._lock:
            for stream in self._streams:
                stream.events.put(None)
        self._server.stop(0.1).wait()

    def StreamAggregatedResources(  # noqa: N802
        self, request_iterator: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """The state of the world."""
        return self._serve(Stream(delta=False), request_iterator, context)

    def DeltaAggregatedResources(  # noqa: N802
        self, request_iterator: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """What changed."""
        return self._serve(Stream(delta=True), request_iterator, context)

    def _serve(
        self, stream: Stream, requests: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        def read() -> None:
            try:
                for request in requests:
                    stream.idle = False
                    stream.events.put(request)
            except grpc.RpcError:
                pass
            stream.events.put(None)

        with self._lock:
            self._streams.append(stream)
        threading.Thread(target=read, daemon=True).start()
        try:
            while context.is_active():
                event = stream.events.get()
                if event is None:
                    return
                with self._lock:
                    if event != "pushed":
                        (self._delta_request if stream.delta else self._request)(stream, event)
                    responses = list(self._responses(stream))
                yield from responses
                with self._lock:
                    stream.idle = stream.events.empty()
        finally:
            with self._lock:
                self._streams.remove(stream)

    def _request(self, stream: Stream, request: Any) -> None:
        stream.node = request.node.id or stream.node
        wanted = stream.types.setdefault(request.type_url, Wanted())
        if request.response_nonce and request.response_nonce != wanted.nonce:
            return
        if request.response_nonce:
            wanted.answered = True
            has_error = request.HasField("error_detail")
            wanted.refusal = request.error_detail.message if has_error else None
        names = set(request.resource_names)
        wanted.asked |= names - wanted.names
        if not names and wanted.sent is None and request.type_url in WHOLE:
            wanted.wildcard = True
        wanted.names = names - {"*"}
        wanted.wildcard |= "*" in names

    def _delta_request(self, stream: Stream, request: Any) -> None:
        stream.node = request.node.id or stream.node
        first = request.type_url not in stream.types
        wanted = stream.types.setdefault(request.type_url, Wanted(sent={}))
        assert wanted.sent is not None
        if request.response_nonce and request.response_nonce == wanted.nonce:
            wanted.answered = True
            has_error = request.HasField("error_detail")
            wanted.refusal = request.error_detail.message if has_error else None
        subscribed = set(request.resource_names_subscribe)
        wanted.wildcard |= "*" in subscribed or (first and not subscribed)
        wanted.names |= subscribed - {"*"}
        wanted.asked |= subscribed - {"*"}
        for name in request.resource_names_unsubscribe:
            wanted.names.discard(name)
            wanted.asked.discard(name)
            wanted.sent.pop(name, None)

    def _responses(self, stream: Stream) -> Iterator[Any]:
        stream.revision = self._revision
        for kind in ORDER:
            if (wanted := stream.types.get(kind)) is None:
                continue
            due = wanted.due(self._resources.get(kind, {}))
            response = (self._delta if stream.delta else self._world)(kind, wanted, due)
            if response is not None:
                wanted.nonce = response.nonce
                wanted.answered = False
                wanted.refusal = None
                wanted.asked = set()
                yield response

    def _world(self, kind: str, wanted: Wanted, due: dict[str, bytes | None]) -> Any:
        there = {name: value for name, value in due.items() if value is not None}
        if there == wanted.sent and not wanted.asked & set(there):
            return None
        if not there and kind not in WHOLE:
            return None
        wanted.sent = dict(there)
        nonce = str(next(self._nonces))
        resources = [any_pb2.Any(type_url=kind, value=value) for value in there.values()]
        return discovery_pb2.DiscoveryResponse(
            type_url=kind, version_info=f"v{nonce}", nonce=nonce, resources=resources
        )

    def _delta(self, kind: str, wanted: Wanted, due: dict[str, bytes | None]) -> Any:
        assert wanted.sent is not None
        gone = {name: None for name in wanted.sent if name not in due}
        missing = object()
        changed = {
            name: value
            for name, value in due.items()
            if name in wanted.asked or wanted.sent.get(name, missing) != value
        } | {name: None for name, value in gone.items() if wanted.sent[name] is not None}
        for name in gone:
            del wanted.sent[name]
        if not changed:
            return None
        wanted.sent.update({name: changed[name] for name in changed if name in due})
        nonce = str(next(self._nonces))
        resources = [
            discovery_pb2.Resource(
                name=name, version=f"v{nonce}", resource=any_pb2.Any(type_url=kind, value=value)
            )
            for name, value in changed.items()
            if value is not None
        ]
        return discovery_pb2.DeltaDiscoveryResponse(
            type_url=kind,
            system_version_info=f"v{nonce}",
            nonce=nonce,
            resources=resources,
            removed_resources=[name for name, value in changed.items() if value is None],
        )
