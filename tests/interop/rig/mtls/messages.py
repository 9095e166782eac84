"""Resources with TLS: for gRPC data planes from certificate providers, for Envoy from files."""

from typing import Any

from rig.mtls.authority import Authority
from rig.resources import CLUSTER, HCM, LISTENER, ROUTER, TYPES, Message

TLS = TYPES + "envoy.extensions.transport_sockets.tls.v3."
TRUST = "spiffe://td"
HTTP2 = {"explicit_http_config": {"http2_protocol_options": {}}}


def socket(kind: str, common: Message, **more: Any) -> Message:
    """A transport socket: `Upstream` or `Downstream`."""
    typed = {"@type": f"{TLS}{kind}TlsContext", "common_tls_context": common, **more}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def providers(own: str, peer: str | None) -> Message:
    """TLS of a gRPC data plane with an identity, and peers of that path only."""
    trusted: Message = {"ca_certificate_provider_instance": {"instance_name": own}}
    if peer is not None:
        trusted["match_subject_alt_names"] = [{"exact": f"{TRUST}{peer}"}]
    return {
        "tls_certificate_provider_instance": {"instance_name": own},
        "validation_context": trusted,
    }


def files(authority: Authority, own: str, peer: str, *protocols: str) -> Message:
    """TLS of Envoy with an identity that stays, and peers of that path only."""
    names = [{"san_type": "URI", "matcher": {"exact": f"{TRUST}{peer}"}}]
    return {
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": list(protocols),
        "tls_certificates": [
            {
                "certificate_chain": authority.file(f"{own}.pem"),
                "private_key": authority.file(f"{own}.key"),
            }
        ],
        "validation_context": {
            "trusted_ca": authority.file("ca.pem"),
            "match_typed_subject_alt_names": names,
        },
    }


def secrets(authority: Authority, own: str, peer: str, *protocols: str) -> Message:
    """The same with an identity that is replaced now and then."""
    names = [{"san_type": "URI", "matcher": {"exact": f"{TRUST}{peer}"}}]
    return {
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": list(protocols),
        "tls_certificate_sds_secret_configs": [authority.sds(own)],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": names},
            "validation_context_sds_secret_config": authority.sds("ca"),
        },
    }


def manager(name: str, routes: list[Message], **more: Any) -> Message:
    """A connection manager for any host."""
    host = {"name": "all", "domains": ["*"], "routes": routes}
    return {
        "@type": HCM,
        "stat_prefix": name,
        "route_config": {"name": name, "virtual_hosts": [host]},
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
        **more,
    }


def chain(managed: Message, transport: Message | None = None, **more: Any) -> Message:
    """A filter chain."""
    made = {"filters": [{"name": "http", "typed_config": managed}], **more}
    return made if transport is None else {**made, "transport_socket": transport}


def listener(name: str, port: int, *chains: Message, **more: Any) -> Message:
    """A listener with a socket."""
    return {
        "@type": LISTENER,
        "name": name,
        "address": address(port),
        "filter_chains": list(chains),
        **more,
    }


def server(port: int, *chains: Message, **more: Any) -> Message:
    """The listener of a gRPC server."""
    return listener(f"server/127.0.0.1:{port}", port, *chains, **more)


def served(name: str) -> Message:
    """A manager that gives everything to the application."""
    return manager(name, [{"match": {"prefix": ""}, "non_forwarding_action": {}}])


def client(name: str) -> Message:
    """The listener of a gRPC client, whose requests go to the cluster of the same name."""
    managed = manager(name, [{"match": {"prefix": ""}, "route": {"cluster": name}}])
    return {"@type": LISTENER, "name": name, "api_listener": {"api_listener": managed}}


def cluster(name: str, port: int, transport: Message, **more: Any) -> list[Message]:
    """A cluster with one endpoint; its endpoints are a resource of their own."""
    return [
        {
            "@type": CLUSTER,
            "name": name,
            "type": "EDS",
            "eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}},
            "connect_timeout": "5s",
            "transport_socket": transport,
            **more,
        },
        assignment(name, port),
    ]


def assignment(name: str, *ports: int) -> Message:
    """Endpoints on loopback."""
    endpoints = [{"endpoint": {"address": address(port)}} for port in ports]
    locality = {"region": "here"}
    here = {"locality": locality, "load_balancing_weight": 1, "lb_endpoints": endpoints}
    return {
        "@type": TYPES + "envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name,
        "endpoints": [here],
    }


def address(port: int) -> Message:
    """An address on loopback."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
