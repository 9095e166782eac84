//! Resources for a program without a mesh: every target is the host and port that it names, and a
//! server serves all that reaches it.
//!
//! They go through the same graph as those of a management server, so nothing downstream knows.

use bytes::Bytes;
use envoy_types::pb::envoy::config::{
    cluster::v3 as cds, core::v3 as core, endpoint::v3 as eds, listener::v3 as lds,
    route::v3 as rds,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as upstream;
use envoy_types::pb::google::protobuf::{Any, Duration};
use prost::Message;

use crate::bootstrap::OWN_SERVERS;
use crate::name::{ResourceName, ResourceType};

/// The port of a name that has none.
const DEFAULT_PORT: u16 = 80;

/// Prefixes of cluster names: what is gRPC is spoken to in HTTP/2, everything else in HTTP/1.1.
const GRPC: &str = "grpc:";
const HTTP: &str = "http:";

/// The resource of this name; there is one for every Listener, and for the clusters it leads to.
pub(super) fn resource(kind: ResourceType, name: &ResourceName) -> Option<Bytes> {
    match kind {
        ResourceType::Listener => match name.as_str().strip_prefix(OWN_SERVERS) {
            Some(place) => Some(server(name.as_str(), place).encode_to_vec().into()),
            None => Some(listener(name.as_str()).encode_to_vec().into()),
        },
        ResourceType::Cluster => Some(cluster(name.as_str())?.encode_to_vec().into()),
        ResourceType::RouteConfiguration
        | ResourceType::ClusterLoadAssignment
        | ResourceType::Secret => None,
    }
}

fn any(name: &str, message: &impl Message) -> Any {
    let type_url = format!("type.googleapis.com/{name}");
    Any { type_url, value: message.encode_to_vec() }
}

fn listener(name: &str) -> lds::Listener {
    let route = |prefix: &str, grpc| rds::Route {
        r#match: Some(rds::RouteMatch {
            path_specifier: Some(rds::route_match::PathSpecifier::Prefix("/".into())),
            grpc,
            ..Default::default()
        }),
        action: Some(rds::route::Action::Route(rds::RouteAction {
            cluster_specifier: Some(rds::route_action::ClusterSpecifier::Cluster(format!(
                "{prefix}{name}"
            ))),
            // No limit of its own: without a mesh only the caller sets deadlines.
            timeout: Some(Duration::default()),
            ..Default::default()
        })),
        ..Default::default()
    };
    let grpc = Some(rds::route_match::GrpcRouteMatchOptions::default());
    let manager = manager(name, vec![route(GRPC, grpc), route(HTTP, None)]);
    lds::Listener {
        name: name.to_owned(),
        api_listener: Some(lds::ApiListener { api_listener: Some(any(MANAGER, &manager)) }),
        ..Default::default()
    }
}

/// The listener of a server at `place`: an address and port, or the path of a socket.
fn server(name: &str, place: &str) -> lds::Listener {
    let route = rds::Route {
        r#match: Some(rds::RouteMatch {
            path_specifier: Some(rds::route_match::PathSpecifier::Prefix(String::new())),
            ..Default::default()
        }),
        action: Some(rds::route::Action::NonForwardingAction(rds::NonForwardingAction {})),
        ..Default::default()
    };
    let filter = lds::Filter {
        name: "manager".into(),
        config_type: Some(lds::filter::ConfigType::TypedConfig(any(
            MANAGER,
            &manager(name, vec![route]),
        ))),
    };
    let address = match place.parse::<std::net::SocketAddr>() {
        Ok(address) => core::address::Address::SocketAddress(core::SocketAddress {
            address: address.ip().to_string(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(
                address.port().into(),
            )),
            ..Default::default()
        }),
        Err(_) => core::address::Address::Pipe(core::Pipe { path: place.to_owned(), mode: 0 }),
    };
    lds::Listener {
        name: name.to_owned(),
        address: Some(core::Address { address: Some(address) }),
        default_filter_chain: Some(lds::FilterChain {
            filters: vec![filter],
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn manager(name: &str, routes: Vec<rds::Route>) -> hcm::HttpConnectionManager {
    let host = rds::VirtualHost {
        name: name.to_owned(),
        domains: vec!["*".into()],
        routes,
        ..Default::default()
    };
    let router = hcm::HttpFilter {
        name: "router".into(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any(
            "envoy.extensions.filters.http.router.v3.Router",
            &(),
        ))),
        ..Default::default()
    };
    hcm::HttpConnectionManager {
        http_filters: vec![router],
        route_specifier: Some(hcm::http_connection_manager::RouteSpecifier::RouteConfig(
            rds::RouteConfiguration {
                name: name.to_owned(),
                virtual_hosts: vec![host],
                ..Default::default()
            },
        )),
        ..Default::default()
    }
}

const MANAGER: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

fn cluster(name: &str) -> Option<cds::Cluster> {
    let (place, is_grpc) = match name.strip_prefix(GRPC) {
        Some(place) => (place, true),
        None => (name.strip_prefix(HTTP)?, false),
    };
    let authority = http::uri::Authority::try_from(place).ok()?;
    let address = core::SocketAddress {
        address: authority.host().trim_matches(['[', ']']).to_owned(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(u32::from(
            authority.port_u16().unwrap_or(DEFAULT_PORT),
        ))),
        ..Default::default()
    };
    let endpoint = eds::Endpoint {
        address: Some(core::Address {
            address: Some(core::address::Address::SocketAddress(address)),
        }),
        ..Default::default()
    };
    let endpoint = eds::LbEndpoint {
        host_identifier: Some(eds::lb_endpoint::HostIdentifier::Endpoint(endpoint)),
        ..Default::default()
    };
    let locality = eds::LocalityLbEndpoints { lb_endpoints: vec![endpoint], ..Default::default() };
    let options = upstream::HttpProtocolOptions {
        upstream_protocol_options: Some(
            upstream::http_protocol_options::UpstreamProtocolOptions::ExplicitHttpConfig(
                upstream::http_protocol_options::ExplicitHttpConfig {
                    protocol_config: Some(protocol(is_grpc)),
                },
            ),
        ),
        ..Default::default()
    };
    let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    Some(cds::Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(cds::cluster::ClusterDiscoveryType::Type(
            cds::cluster::DiscoveryType::LogicalDns.into(),
        )),
        load_assignment: Some(eds::ClusterLoadAssignment {
            cluster_name: name.to_owned(),
            endpoints: vec![locality],
            ..Default::default()
        }),
        typed_extension_protocol_options: [(kind.to_owned(), any(kind, &options))].into(),
        ..Default::default()
    })
}

fn protocol(
    is_grpc: bool,
) -> upstream::http_protocol_options::explicit_http_config::ProtocolConfig {
    use upstream::http_protocol_options::explicit_http_config::ProtocolConfig;
    match is_grpc {
        true => ProtocolConfig::Http2ProtocolOptions(core::Http2ProtocolOptions::default()),
        false => ProtocolConfig::HttpProtocolOptions(core::Http1ProtocolOptions::default()),
    }
}
