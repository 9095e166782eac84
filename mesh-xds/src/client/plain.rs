//! Resources for a program without a mesh: every target is the host and port that it names.
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

use crate::name::{ResourceName, ResourceType};

/// The port of a name that has none.
const DEFAULT_PORT: u16 = 80;

/// Prefixes of cluster names: what is gRPC is spoken to in HTTP/2, everything else in HTTP/1.1.
const GRPC: &str = "grpc:";
const HTTP: &str = "http:";

/// The resource of this name; there is one for every Listener, and for the clusters it leads to.
pub(super) fn resource(kind: ResourceType, name: &ResourceName) -> Option<Bytes> {
    match kind {
        ResourceType::Listener => Some(listener(name.as_str()).encode_to_vec().into()),
        ResourceType::Cluster => Some(cluster(name.as_str())?.encode_to_vec().into()),
        ResourceType::RouteConfiguration | ResourceType::ClusterLoadAssignment => None,
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
    let host = rds::VirtualHost {
        name: name.to_owned(),
        domains: vec!["*".into()],
        routes: vec![route(GRPC, grpc), route(HTTP, None)],
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
    let manager = hcm::HttpConnectionManager {
        http_filters: vec![router],
        route_specifier: Some(hcm::http_connection_manager::RouteSpecifier::RouteConfig(
            rds::RouteConfiguration {
                name: name.to_owned(),
                virtual_hosts: vec![host],
                ..Default::default()
            },
        )),
        ..Default::default()
    };
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    lds::Listener {
        name: name.to_owned(),
        api_listener: Some(lds::ApiListener { api_listener: Some(any(kind, &manager)) }),
        ..Default::default()
    }
}

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
