"""Envoy, with a listener for each case, and its own word for what is in force."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message as Proto

from rig import calls, protos
from rig.answer import Answer, Ask
from rig.case import Case
from rig.place import ENVOY
from rig.process import Child
from rig.resources import (
    CLUSTER,
    ENDPOINTS,
    HTTP_OPTIONS,
    LISTENER,
    ROUTES,
    TYPES,
    Message,
    name_of,
    socket_name,
)

SECTIONS = {
    "dynamic_listeners": LISTENER,
    "dynamic_active_clusters": CLUSTER,
    "dynamic_route_configs": ROUTES,
    "dynamic_endpoint_configs": ENDPOINTS,
}


class Envoy:
    """A process of Envoy."""

    kind = "envoy"

    def __init__(self, node: str, control_plane: int, delta: bool, work: Path) -> None:
        self.node = node
        address = work / f"{node}.address"
        address.unlink(missing_ok=True)
        config = work / f"{node}.json"
        config.write_text(json.dumps(bootstrap(node, control_plane, delta)))
        command = [str(ENVOY), "-c", str(config), "--admin-address-path", str(address)]
        command += ["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn"]
        command += ["--drain-time-s", "1", "--drain-strategy", "immediate"]
        command += ["--file-flush-interval-msec", "50"]
        self._child = Child(command, work / f"{node}.log")
        deadline = time.monotonic() + 20
        while not (address.exists() and address.read_text()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"Envoy does not start; see {work / node}.log")
            time.sleep(0.05)
        self._admin = http.client.HTTPConnection(address.read_text(), timeout=5)
        self._case: Case | None = None
        self._port = 0
        self._channels: dict[str | None, grpc.Channel] = {}

    def open(self, case: Case) -> None:
        self._case = case
        self._port = 0

    def pending(self, resources: list[Message]) -> str | None:
        assert self._case is not None
        dump = self._dump()
        clusters = [it for it in resources if it["@type"] == CLUSTER]
        used = {it.get("eds_cluster_config", {}).get("service_name", it["name"]) for it in clusters}
        for resource in resources:
            kind, name = resource["@type"], name_of(resource)
            if "api_listener" in resource or (kind == ENDPOINTS and name not in used):
                continue
            came = dump.get((kind, name))
            if came is None or not same(resource, came):
                return f"{name} of {kind} is {came}"
        wanted = {(it["@type"], name_of(it)) for it in resources}
        for kind, name in dump:
            # Routes and endpoints are forgotten with those who use them.
            if kind in (LISTENER, CLUSTER) and (kind, name) not in wanted:
                return f"{name} of {kind} is still there"
        self._port = self._listener(socket_name(self._case.name))
        return None

    def ask(self, ask: Ask) -> list[Answer]:
        assert self._case is not None
        if self._case.grpc:
            host = ask.host or self._case.name
            if host not in self._channels:
                self._channels[host] = calls.channel(f"ipv4:127.0.0.1:{self._port}", host)
            return calls.call(self._channels[host], ask)
        return requests(self._port, ask, ask.host or self._case.name)

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    def stop(self) -> None:
        self._admin.close()
        self._child.stop()

    def _get(self, path: str) -> Any:
        self._admin.request("GET", path)
        return json.loads(self._admin.getresponse().read())

    def _listener(self, name: str) -> int:
        for status in self._get("/listeners?format=json").get("listener_statuses", []):
            if status["name"] == name:
                return int(status["local_address"]["socket_address"]["port_value"])
        return 0

    def _dump(self) -> dict[tuple[str, str], Message | None]:
        """What is in force by type and name; None if it is not yet."""
        found: dict[tuple[str, str], Message | None] = {}
        for section in self._get("/config_dump?include_eds")["configs"]:
            for key, kind in SECTIONS.items():
                for entry in section.get(key, []):
                    state = entry.get("active_state", entry)
                    kinds = ("listener", "cluster", "route_config", "endpoint_config")
                    config = next((state[it] for it in kinds if it in state), None)
                    if config is not None:
                        found[kind, name_of(config)] = None if "warming_state" in entry else config
            for entry in section.get("dynamic_warming_clusters", []):
                found[CLUSTER, name_of(entry["cluster"])] = None
        return found


def same(pushed: Message, came: Message) -> bool:
    """Whether a resource in the dump is what was pushed."""
    if pushed["@type"] != ENDPOINTS:
        return protos.message(pushed) == protos.message(came)
    # The dump has the hosts that there are, not the message that they came in.
    return hosts(protos.message(pushed)) == hosts(protos.message(came))


def hosts(assignment: Proto) -> set[tuple[Any, ...]]:
    """Endpoints with priority and weight."""
    return {
        (
            locality.priority,
            locality.locality.SerializeToString(),
            locality.load_balancing_weight.value,
            it.endpoint.address.socket_address.port_value,
            it.load_balancing_weight.value or 1,
        )
        for locality in assignment.endpoints  # type: ignore[attr-defined]
        for it in locality.lb_endpoints
    }


def requests(port: int, ask: Ask, host: str) -> list[Answer]:
    """HTTP/1.1 requests, one after the other on each of some connections."""
    at_once = min(ask.at_once or 1, ask.n)
    shares = [replace(ask, n=len(range(at, ask.n, at_once))) for at in range(at_once)]
    with ThreadPoolExecutor(at_once) as threads:
        parts = threads.map(lambda share: on_one(port, share, host), shares)
        return [answer for part in parts for answer in part]


def on_one(port: int, ask: Ask, host: str) -> list[Answer]:
    """HTTP/1.1 requests, one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ask.timeout)
    answers = []
    for _ in range(ask.n):
        connection.putrequest(ask.method, ask.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("host", host)
        for name, values in ask.headers.items():
            for value in values:
                connection.putheader(name, value)
        if ask.body:
            connection.putheader("content-length", str(ask.body))
        connection.endheaders(b"." * ask.body or None)
        response = connection.getresponse()
        body = response.read()
        headers: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            headers.setdefault(name.lower(), []).append(value)
        backend = headers.get("x-backend", [None])[0]
        seen = json.loads(body) if backend and body else {"body": body.decode()}
        answers.append(Answer(str(response.status), backend, seen, headers))
    connection.close()
    return answers


def bootstrap(node: str, control_plane: int, delta: bool) -> dict[str, Any]:
    """Everything over ADS."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": control_plane}}
    options = {
        "@type": TYPES + HTTP_OPTIONS,
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    service = {"envoy_grpc": {"cluster_name": "control-plane"}}
    ads = {"ads": {}, "resource_api_version": "V3"}
    return {
        "node": {"id": node, "cluster": "interop"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC" if delta else "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [service],
            },
            "lds_config": ads,
            "cds_config": ads,
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "control-plane",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {HTTP_OPTIONS: options},
                    "load_assignment": {
                        "cluster_name": "control-plane",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
                    },
                }
            ]
        },
    }
