"""From the short forms of the cases to messages."""

from typing import Any

from rig.rbac.scene import Message, Scene

TYPES = "type.googleapis.com/"
RBAC = TYPES + "envoy.extensions.filters.http.rbac.v3.RBAC"
PER_ROUTE = TYPES + "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
NETWORK_RBAC = TYPES + "envoy.extensions.filters.network.rbac.v3.RBAC"
TLS = TYPES + "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
TLS_INSPECTOR = TYPES + "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
ACTION = TYPES + "envoy.config.rbac.v3.Action"
CLUSTER = TYPES + "envoy.config.cluster.v3.Cluster"
LISTENER = TYPES + "envoy.config.listener.v3.Listener"
HCM = TYPES + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = TYPES + "envoy.extensions.filters.http.router.v3.Router"
FROM_HEADERS = TYPES + "envoy.extensions.filters.http.header_to_metadata.v3.Config"
FIXED = TYPES + "envoy.extensions.filters.http.set_metadata.v3.Config"
TEMPLATE = TYPES + "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
MTLS = TYPES + "envoy.extensions.rbac.principals.mtls_authenticated.v3.Config"
HEADER_INPUT = TYPES + "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
METADATA_INPUT = (
    TYPES + "envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput"
)
METADATA_MATCHER = TYPES + "envoy.extensions.matching.input_matchers.metadata.v3.Metadata"
IP_MATCHER = TYPES + "envoy.extensions.matching.input_matchers.ip.v3.Ip"
IP_MAP = TYPES + "xds.type.matcher.v3.IPMatcher"

NETWORK = TYPES + "envoy.extensions.matching.common_inputs.network.v3."
SSL = TYPES + "envoy.extensions.matching.common_inputs.ssl.v3."
INPUTS = {
    "source-ip": NETWORK + "SourceIPInput",
    "direct-source-ip": NETWORK + "DirectSourceIPInput",
    "source-port": NETWORK + "SourcePortInput",
    "destination-ip": NETWORK + "DestinationIPInput",
    "destination-port": NETWORK + "DestinationPortInput",
    "server-name": NETWORK + "ServerNameInput",
    "uri-san": SSL + "UriSanInput",
    "dns-san": SSL + "DnsSanInput",
    "subject": SSL + "SubjectInput",
}


def typed(kind: str, **content: Any) -> Message:
    """An extension."""
    return {"name": kind.rpartition("/")[2], "typed_config": {"@type": kind, **content}}


def expanded(value: Any) -> Any:
    """The same with messages in place of the short forms.

    `input: header x-a`, `input: metadata NAMESPACE KEY...` and `input: source-ip` among the others;
    `action: ALLOW name`; `uri_template: /a/*`; `mtls: {...}`; `ip: [ranges]`, `metadata_value: {...}`
    and `ip_map: [...]` in custom_match.
    """
    if isinstance(value, list):
        return [expanded(one) for one in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for name, one in value.items():
        name, one = short(name, expanded(one))
        result[name] = one
    return result


def short(name: str, value: Any) -> tuple[str, Any]:
    """A field that is perhaps in a short form."""
    if name == "input" and isinstance(value, str):
        return name, input_of(*value.split())
    if name == "action" and isinstance(value, str) and " " in value:
        action, _, called = value.partition(" ")
        return name, typed(ACTION, name=called, action=action)
    if name == "uri_template" and isinstance(value, str):
        return name, typed(TEMPLATE, path_template=value)
    if name == "mtls":
        return "custom", typed(MTLS, **value)
    if name == "ip":
        return "custom_match", typed(IP_MATCHER, cidr_ranges=value, stat_prefix="ip")
    if name == "metadata_value":
        return "custom_match", typed(METADATA_MATCHER, **value)
    if name == "value_match" and "safe_regex" in value:
        return name, {"safe_regex": {"google_re2": {}, **value["safe_regex"]}}
    if name == "ip_map":
        return "custom_match", typed(IP_MAP, range_matchers=value)
    return name, value


def input_of(kind: str, *words: str) -> Message:
    """What a tree looks at."""
    if kind == "header":
        return typed(HEADER_INPUT, header_name=words[0])
    if kind == "metadata":
        path = [{"key": word} for word in words[1:]]
        return typed(METADATA_INPUT, filter=words[0], path=path)
    return typed(INPUTS[kind])


def rbac(name: str, **rules: Any) -> Message:
    """A filter that judges requests."""
    return {"name": name, "typed_config": {"@type": RBAC, **rules}}


def route(match: Message, override: Message | None = None) -> Message:
    """A route, perhaps with rules in place of the listener's; empty ones are none at all."""
    made: Message = {"match": match if "path" in match else {"prefix": "/", **match}}
    if override is not None:
        own = {"rbac": override} if override else {}
        made["typed_per_filter_config"] = {"rbac": {"@type": PER_ROUTE, **own}}
    return made


def listener(scene: Scene, certificates: Message) -> Message:
    """The listener of a scene; `$NAME` and `$PORT` are for the servers to fill in.

    `certificates` is where TLS has them from, which is all that differs between the sides.
    """
    common = {"metadata": {"filter_metadata": ROUTE}}
    answers = {"direct_response": {"status": 200}}
    manager = {
        "@type": HCM,
        "stat_prefix": "rbac",
        "route_config": {
            "name": scene.name,
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {**common, **({} if ACTIONS & it.keys() else answers), **it}
                        for it in scene.routes
                    ],
                    **scene.host,
                }
            ],
        },
        "http_filters": [*NOTES, *scene.filters, typed(ROUTER)],
    }
    chain: Message = {"filters": [*scene.network, {"name": "http", "typed_config": manager}]}
    made = {
        "@type": LISTENER,
        "name": "$NAME",
        "address": {"socket_address": {"address": scene.address, "port_value": "$PORT"}},
        "filter_chains": [chain],
    }
    if scene.is_secure:
        made["listener_filters"] = [typed(TLS_INSPECTOR)]
        chain["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": TLS, "common_tls_context": certificates},
        }
    return made


# What a route may do instead of answering.
ACTIONS = {"route", "non_forwarding_action"}

# What filters say of every request: some of it is in header fields, some is always the same.
NOTES = [
    typed(
        FROM_HEADERS,
        request_rules=[
            {
                "header": "x-text",
                "on_header_present": {"metadata_namespace": "test", "key": "text"},
            },
            {
                "header": "x-number",
                "on_header_present": {
                    "metadata_namespace": "test",
                    "key": "number",
                    "type": "NUMBER",
                },
            },
        ],
    ),
    typed(
        FIXED,
        metadata=[
            {
                "metadata_namespace": "fixed",
                "value": {
                    "yes": True,
                    "no": False,
                    "nothing": None,
                    "two": 2,
                    "word": "shop",
                    "list": ["a", 1, {"b": "c"}, ["d"]],
                    "deep": {"er": {"still": "found"}},
                },
            }
        ],
    ),
]

# What is said of every route.
ROUTE = {"test": {"kind": "cart", "weight": 3, "roles": ["reader", "writer"], "deep": {"a": "b"}}}
