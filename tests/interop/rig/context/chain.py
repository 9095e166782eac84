"""Callers, a relay of ours and backends, and what is seen of a request on its way through them."""

import json
import time
from pathlib import Path
from typing import Any

import grpc

from rig.authz.observed import send
from rig.authz.services import HTTP1, cluster
from rig.context.backends import PATIENCE, Calls, Grpc, Web, services
from rig.context.table import Case
from rig.place import binary
from rig.process import Child
from rig.rbac.scene import Message, Scene
from rig.rbac.servers import Envoy

# What is observed, by path: `answer`; how many `handlers` there were, how many are `running` still,
# and how many `calls` came to a backend; and for each of these how much time was `left`, whether it
# was `cancelled`, whether it is `named` as Envoy names the request, and `fields.NAME`.
Observed = dict[str, Any]

SECONDS = 20.0

# Of Envoy in front of the relay.
ROUTES: dict[str, Message] = {
    "/second": {"timeout": "1s"},
    "/moment": {"timeout": "0.3s"},
    "/attempt": {
        "timeout": "1s",
        "retry_policy": {"retry_on": "5xx", "num_retries": 1, "per_try_timeout": "0.4s"},
    },
    "/endless": {"timeout": "0s"},
    "/again": {"timeout": "0s", "retry_policy": {"retry_on": "5xx", "num_retries": 1}},
}

# Of their virtual host: Envoy says which name the request has.
NAME = {"key": "x-request-id", "value": "%REQ(X-REQUEST-ID)%"}
VIRTUAL = {"include_request_attempt_count": True, "response_headers_to_add": [{"header": NAME}]}

# Of C-core, which asks the relay itself.
AGAIN = {
    "maxAttempts": 2,
    "initialBackoff": "0.01s",
    "maxBackoff": "0.01s",
    "backoffMultiplier": 1,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


class Chain:
    """All of them."""

    def __init__(self, work: Path, *more: str) -> None:
        self._calls = Calls()
        self._grpc, self._web = Grpc(self._calls), Web(self._calls)
        file = work / "services.yaml"
        file.write_text(services(self._grpc.port, self._web.port))
        self._relay = Child([str(binary("relay")), str(file), *more], work / "relay.log")
        _, said = self._relay.wait(0, lambda line: line.startswith("grpc "), SECONDS)
        self._target = f"ipv4:127.0.0.1:{said.split()[1]}"
        _, said = self._relay.wait(0, lambda line: line.startswith("http "), SECONDS)
        routes = [
            {"match": {"prefix": path}, "route": {"cluster": "relay", **route}}
            for path, route in ROUTES.items()
        ]
        front = Scene("front", [], routes, host=VIRTUAL)
        self._envoy = Envoy([front], work, [cluster("relay", int(said.split()[1]), HTTP1)])
        self._port = self._envoy.ports["front"]

    def stop(self) -> None:
        """Ends all."""
        self._envoy.stop()
        self._relay.stop()
        self._grpc.stop()
        self._web.stop()

    def observe(self, case: Case) -> Observed:
        """What comes of a case."""
        self._calls.expect(case.backend)
        start = self._relay.count()
        fields = {**case.headers, "x-next": f"{case.protocol}-{case.next}"}
        if case.wait:
            fields["x-wait-ms"] = str(case.wait)
        if case.protocol == "grpc":
            answer, said = self._call(case, fields), None
        else:
            answer, headers, _ = send(self._port, {"path": case.path, "headers": fields})
            said = headers.get("x-request-id")
        running = self._running(start)
        handlers = self._relay.lines(start).count("began")
        seen = self._calls.seen()
        made = {"answer": answer, "handlers": handlers, "running": running, "calls": len(seen)}
        for name in ("left", "cancelled"):
            made[name] = [it[name] for it in seen]
        made["named"] = [it["fields"].get("x-request-id") == said for it in seen]
        for name in sorted({name for it in seen for name in it["fields"]}):
            made[f"fields.{name}"] = [it["fields"].get(name) for it in seen]
        return made

    def _call(self, case: Case, fields: dict[str, Any]) -> str:
        """Asks as a client of C-core; the code by name."""
        options: list[tuple[str, object]] = [("grpc.use_local_subchannel_pool", 1)]
        if case.retries:
            config = {"methodConfig": [{"name": [{}], "retryPolicy": AGAIN}]}
            options.append(("grpc.service_config", json.dumps(config)))
        metadata = [
            (name, str(one))
            for name, it in fields.items()
            for one in (it if isinstance(it, list) else [it])
        ]
        with grpc.insecure_channel(self._target, options=options) as channel:
            method = channel.unary_unary("/test.Echo/Relay")
            return str(method.future(b"", case.timeout, metadata).code().name)

    def _running(self, start: int) -> int:
        """How many handlers still run when they must all have ended."""
        until = time.monotonic() + PATIENCE / 2
        while True:
            lines = self._relay.lines(start)
            running = lines.count("began") - lines.count("ended")
            if (lines and not running) or time.monotonic() > until:
                return running
            time.sleep(0.01)
