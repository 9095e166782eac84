"""Envoy with a fixed configuration: three HTTP/2 ports in front of one backend."""

import http.client
import json
import time
from pathlib import Path
from typing import Any

from rig.peers.envoy import HTTP_OPTIONS, TYPES
from rig.place import ENVOY
from rig.process import Child

MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "envoy.extensions.filters.http.router.v3.Router"

# Windows of a stream and of a connection, as the other servers of the list have them.
WINDOWS = {"initial_stream_window_size": 1 << 20, "initial_connection_window_size": 16 << 20}


class EnvoyFront:
    """A process of Envoy: without limits, one stream at a time, 50 requests a connection."""

    def __init__(self, backend: str, work: Path) -> None:
        address = work / "envoy.address"
        config = work / "envoy.json"
        config.write_text(json.dumps(bootstrap(backend)))
        command = [str(ENVOY), "-c", str(config), "--admin-address-path", str(address)]
        command += ["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn"]
        self._child = Child(command, work / "envoy.log")
        deadline = time.monotonic() + 20
        while not (address.exists() and address.read_text()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"Envoy does not start; see {work}/envoy.log")
            time.sleep(0.05)
        self.admin = address.read_text().strip()
        self.pid = self._child.pid
        while not (ports := self._ports()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"Envoy does not listen; see {work}/envoy.log")
            time.sleep(0.05)
        self.addresses = [f"127.0.0.1:{ports[name]}" for name in ("plain", "one", "goaway")]

    def stop(self) -> None:
        """Ends it."""
        self._child.stop()

    def _ports(self) -> dict[str, int]:
        """The ports by name; none before all of them are there."""
        connection = http.client.HTTPConnection(self.admin, timeout=5)
        connection.request("GET", "/listeners?format=json")
        statuses = json.loads(connection.getresponse().read()).get("listener_statuses", [])
        connection.close()
        ports = {
            it["name"]: it["local_address"]["socket_address"].get("port_value", 0)
            for it in statuses
        }
        return ports if len(ports) == 3 and all(ports.values()) else {}


def bootstrap(backend: str) -> dict[str, Any]:
    """The whole configuration."""
    return {
        "admin": {"address": socket_address("127.0.0.1:0")},
        "static_resources": {
            "listeners": [
                listener("plain", {}, {}),
                listener("one", {"max_concurrent_streams": 1}, {}),
                listener("goaway", {}, {"max_requests_per_connection": 50}),
            ],
            "clusters": [cluster(backend)],
        },
    }


def listener(name: str, http2: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    """A port with its settings."""
    manager = {
        "@type": TYPES + MANAGER,
        "stat_prefix": name,
        "codec_type": "HTTP2",
        "http2_protocol_options": WINDOWS | http2,
        "common_http_protocol_options": common,
        "stream_idle_timeout": "0s",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "route": {"cluster": "backend", "timeout": "0s"},
                        }
                    ],
                }
            ],
            # The backend counts the connections that come here.
            "request_headers_to_add": [
                {
                    "header": {"key": "x-connection", "value": "%DOWNSTREAM_REMOTE_ADDRESS%"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ],
        },
        "http_filters": [{"name": "router", "typed_config": {"@type": TYPES + ROUTER}}],
    }
    return {
        "name": name,
        "address": socket_address("127.0.0.1:0"),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def cluster(backend: str) -> dict[str, Any]:
    """Where everything goes, without limits of its own."""
    options = {
        "@type": TYPES + HTTP_OPTIONS,
        "explicit_http_config": {"http2_protocol_options": WINDOWS},
    }
    most = 1 << 20
    limits = {"max_connections": most, "max_pending_requests": most, "max_requests": most}
    endpoint = {"endpoint": {"address": socket_address(backend)}}
    return {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {HTTP_OPTIONS: options},
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": "backend",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }


def socket_address(address: str) -> dict[str, Any]:
    """An address as Envoy has it."""
    ip, _, port = address.rpartition(":")
    return {"socket_address": {"address": ip, "port_value": int(port)}}
