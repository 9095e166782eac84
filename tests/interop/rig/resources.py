"""From the short form of the cases to the xDS resources that are served."""

import copy
from typing import Any

Message = dict[str, Any]

TYPES = "type.googleapis.com/"
LISTENER = TYPES + "envoy.config.listener.v3.Listener"
ROUTES = TYPES + "envoy.config.route.v3.RouteConfiguration"
CLUSTER = TYPES + "envoy.config.cluster.v3.Cluster"
ENDPOINTS = TYPES + "envoy.config.endpoint.v3.ClusterLoadAssignment"
HCM = TYPES + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = TYPES + "envoy.extensions.filters.http.router.v3.Router"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

ADS: Message = {"ads": {}, "resource_api_version": "V3"}
KEYS = {
    "routes",
    "virtual_hosts",
    "listener",
    "filters",
    "clusters",
    "endpoints",
    "assignments",
    "resources",
}


def merged(before: Message, change: Message) -> Message:
    """A push after a change: clusters, endpoints and assignments change by name; null removes."""
    if unknown := set(change) - KEYS:
        raise ValueError(f"a push has {sorted(unknown)}; known are {sorted(KEYS)}")
    after = copy.deepcopy(before)
    for key, value in change.items():
        if key in ("clusters", "endpoints", "assignments") and key in after and value is not None:
            after[key].update(value)
            after[key] = {k: v for k, v in after[key].items() if v is not None or key == "clusters"}
        else:
            after[key] = value
    return after


def expanded(name: str, push: Message, addresses: dict[str, int]) -> list[Message]:
    """All resources of a push."""
    resources: list[Message] = []
    hosts = push.get("virtual_hosts")
    if push.get("routes") is not None:
        hosts = [{"domains": ["*"], "routes": push["routes"]}]
    if hosts is not None:
        named = [{"name": f"host-{at}", **host} for at, host in enumerate(hosts)]
        resources.append({"@type": ROUTES, "name": name, "virtual_hosts": named})
    if push.get("listener", {}) is not None:
        resources += listeners(name, push.get("filters", []))
    assignments = {
        cluster: {
            "endpoints": [
                {
                    "locality": {"region": "here"},
                    "load_balancing_weight": 1,
                    "lb_endpoints": list(backends),
                }
            ]
            if backends
            else []
        }
        for cluster, backends in push.get("endpoints", {}).items()
    } | push.get("assignments", {})
    clusters = {cluster: {} for cluster in assignments} | push.get("clusters", {})
    resources += [eds_cluster(n, changes) for n, changes in clusters.items() if changes is not None]
    for cluster, assignment in assignments.items():
        resources.append({"@type": ENDPOINTS, "cluster_name": cluster, **assignment})
    resources += push.get("resources", [])
    return [with_addresses(resource, addresses) for resource in resources]


def listeners(name: str, filters: list[Message]) -> list[Message]:
    """A listener for gRPC clients, and one with the same contents and a socket for Envoy."""
    manager = {
        "@type": HCM,
        "stat_prefix": name,
        "rds": {"route_config_name": name, "config_source": ADS},
        "http_filters": [*filters, {"name": "router", "typed_config": {"@type": ROUTER}}],
    }
    return [
        {"@type": LISTENER, "name": name, "api_listener": {"api_listener": manager}},
        {
            "@type": LISTENER,
            "name": socket_name(name),
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        },
    ]


def socket_name(name: str) -> str:
    """The name of Envoy's listener."""
    return f"{name}-socket"


def eds_cluster(name: str, changes: Message) -> Message:
    """A cluster whose endpoints come over ADS and speak HTTP/2."""
    http2 = {
        "@type": TYPES + HTTP_OPTIONS,
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    cluster: Message = {
        "@type": CLUSTER,
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ADS},
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {HTTP_OPTIONS: http2},
    }
    cluster.update(changes)
    return {key: value for key, value in cluster.items() if value is not None}


def with_addresses(value: Any, addresses: dict[str, int]) -> Any:
    """The same with endpoints in place of names of backends, wherever lb_endpoints has them."""
    if isinstance(value, list):
        return [with_addresses(item, addresses) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: with_addresses(item, addresses) for key, item in value.items()}
    if "lb_endpoints" in result:
        result["lb_endpoints"] = [endpoint(it, addresses) for it in result["lb_endpoints"]]
    return result


def endpoint(value: Any, addresses: dict[str, int]) -> Message:
    """`b1`, or `{backend: b1, load_balancing_weight: 3}`, as an endpoint."""
    entry = {"backend": value} if isinstance(value, str) else dict(value)
    if (backend := entry.pop("backend", None)) is not None:
        address = {"address": "127.0.0.1", "port_value": addresses[backend]}
        entry["endpoint"] = {"address": {"socket_address": address}}
    return entry


def name_of(resource: Message) -> str:
    """A resource's name."""
    return str(resource.get("name", resource.get("cluster_name")))
