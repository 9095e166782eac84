//! Resources for tests, in as few words as they allow.

use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as eds;
use envoy_types::pb::envoy::config::listener::v3 as lds;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::extensions::clusters::aggregate::v3::ClusterConfig;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::google::protobuf::{Any, UInt32Value};
use prost::Message;

pub(crate) fn u32v(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

pub(crate) fn any(kind: &str, message: &impl Message) -> Any {
    let type_url = format!("type.googleapis.com/{kind}");
    Any { type_url, value: message.encode_to_vec() }
}

/// `10.0.0.1:80` and such; anything before the last `:` is the host.
pub(crate) fn address(text: &str) -> core::Address {
    let (host, port) = text.rsplit_once(':').unwrap();
    let port = core::socket_address::PortSpecifier::PortValue(port.parse().unwrap());
    let socket = core::SocketAddress {
        address: host.into(),
        port_specifier: Some(port),
        ..Default::default()
    };
    core::Address { address: Some(core::address::Address::SocketAddress(socket)) }
}

pub(crate) fn endpoint(text: &str) -> eds::LbEndpoint {
    let endpoint = eds::Endpoint { address: Some(address(text)), ..Default::default() };
    eds::LbEndpoint {
        host_identifier: Some(eds::lb_endpoint::HostIdentifier::Endpoint(endpoint)),
        ..Default::default()
    }
}

/// A locality of weight 1.
pub(crate) fn locality(zone: &str, priority: u32, endpoints: &[&str]) -> eds::LocalityLbEndpoints {
    eds::LocalityLbEndpoints {
        locality: Some(core::Locality { zone: zone.into(), ..Default::default() }),
        lb_endpoints: endpoints.iter().map(|e| endpoint(e)).collect(),
        load_balancing_weight: u32v(1),
        priority,
        ..Default::default()
    }
}

pub(crate) fn assignment(
    name: &str,
    localities: Vec<eds::LocalityLbEndpoints>,
) -> eds::ClusterLoadAssignment {
    eds::ClusterLoadAssignment {
        cluster_name: name.into(),
        endpoints: localities,
        ..Default::default()
    }
}

pub(crate) fn ads() -> core::ConfigSource {
    core::ConfigSource {
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource {},
        )),
        ..Default::default()
    }
}

/// An EDS cluster whose assignment has the name `service`, or its own if that is empty.
pub(crate) fn cluster(name: &str, service: &str) -> cds::Cluster {
    cds::Cluster {
        name: name.into(),
        cluster_discovery_type: Some(cds::cluster::ClusterDiscoveryType::Type(
            cds::cluster::DiscoveryType::Eds.into(),
        )),
        eds_cluster_config: Some(cds::cluster::EdsClusterConfig {
            eds_config: Some(ads()),
            service_name: service.into(),
        }),
        ..Default::default()
    }
}

/// An aggregate of `children`.
pub(crate) fn aggregate(name: &str, children: &[&str]) -> cds::Cluster {
    let config = ClusterConfig { clusters: children.iter().map(|c| (*c).to_owned()).collect() };
    cds::Cluster {
        name: name.into(),
        lb_policy: cds::cluster::LbPolicy::ClusterProvided.into(),
        cluster_discovery_type: Some(cds::cluster::ClusterDiscoveryType::ClusterType(
            cds::cluster::CustomClusterType {
                name: "envoy.clusters.aggregate".into(),
                typed_config: Some(any(
                    "envoy.extensions.clusters.aggregate.v3.ClusterConfig",
                    &config,
                )),
            },
        )),
        ..Default::default()
    }
}

/// A cluster of type `kind` with a `load_assignment` of its own.
pub(crate) fn inline_cluster(
    name: &str,
    kind: cds::cluster::DiscoveryType,
    localities: Vec<eds::LocalityLbEndpoints>,
) -> cds::Cluster {
    cds::Cluster {
        name: name.into(),
        cluster_discovery_type: Some(cds::cluster::ClusterDiscoveryType::Type(kind.into())),
        load_assignment: Some(assignment(name, localities)),
        ..Default::default()
    }
}

/// A route for everything below `prefix`.
pub(crate) fn route(prefix: &str, specifier: ClusterSpecifier) -> rds::Route {
    rds::Route {
        r#match: Some(rds::RouteMatch {
            path_specifier: Some(rds::route_match::PathSpecifier::Prefix(prefix.into())),
            ..Default::default()
        }),
        action: Some(rds::route::Action::Route(rds::RouteAction {
            cluster_specifier: Some(specifier),
            ..Default::default()
        })),
        ..Default::default()
    }
}

pub(crate) fn to(cluster: &str) -> ClusterSpecifier {
    ClusterSpecifier::Cluster(cluster.into())
}

/// Routes `routes` for every host.
pub(crate) fn routes(name: &str, routes: Vec<rds::Route>) -> rds::RouteConfiguration {
    rds::RouteConfiguration {
        name: name.into(),
        virtual_hosts: vec![rds::VirtualHost {
            name: "all".into(),
            domains: vec!["*".into()],
            routes,
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// `/<cluster>` to each of `clusters`.
pub(crate) fn routes_to(name: &str, clusters: &[&str]) -> rds::RouteConfiguration {
    routes(name, clusters.iter().map(|c| route(&format!("/{c}"), to(c))).collect())
}

/// A filter that is configured by `any`.
pub(crate) fn http_filter(name: &str, any: Any) -> hcm::HttpFilter {
    hcm::HttpFilter {
        name: name.into(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any)),
        ..Default::default()
    }
}

pub(crate) fn router() -> hcm::HttpFilter {
    let any = any("envoy.extensions.filters.http.router.v3.Router", &Router::default());
    http_filter("router", any)
}

/// A connection manager with only the router.
pub(crate) fn manager(specifier: RouteSpecifier) -> hcm::HttpConnectionManager {
    hcm::HttpConnectionManager {
        http_filters: vec![router()],
        route_specifier: Some(specifier),
        ..Default::default()
    }
}

pub(crate) fn rds(name: &str) -> RouteSpecifier {
    RouteSpecifier::Rds(hcm::Rds { config_source: Some(ads()), route_config_name: name.into() })
}

const MANAGER: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// A listener for clients.
pub(crate) fn listener(name: &str, manager: &hcm::HttpConnectionManager) -> lds::Listener {
    let api = lds::ApiListener { api_listener: Some(any(MANAGER, manager)) };
    lds::Listener { name: name.into(), api_listener: Some(api), ..Default::default() }
}

/// A filter of connections.
pub(crate) fn network_filter(name: &str, any: Any) -> lds::Filter {
    let config_type = Some(lds::filter::ConfigType::TypedConfig(any));
    lds::Filter { name: name.into(), config_type }
}

/// A filter chain with only a connection manager.
pub(crate) fn filter_chain(manager: &hcm::HttpConnectionManager) -> lds::FilterChain {
    let filters = vec![network_filter("manager", any(MANAGER, manager))];
    lds::FilterChain { filters, ..Default::default() }
}

/// A listener for the server at `10.0.0.1:80` and such; the chains are for source ports from 1 on.
pub(crate) fn server_listener(
    name: &str,
    place: &str,
    routes: impl IntoIterator<Item = RouteSpecifier>,
) -> lds::Listener {
    let chain = |(port, routes)| lds::FilterChain {
        filter_chain_match: Some(lds::FilterChainMatch {
            source_ports: vec![port],
            ..Default::default()
        }),
        ..filter_chain(&manager(routes))
    };
    lds::Listener {
        name: name.into(),
        address: Some(address(place)),
        filter_chains: (1..).zip(routes).map(chain).collect(),
        ..Default::default()
    }
}

/// Routes in the listener itself that serve everything.
pub(crate) fn served() -> RouteSpecifier {
    RouteSpecifier::RouteConfig(served_routes(""))
}

/// Routes that serve everything.
pub(crate) fn served_routes(name: &str) -> rds::RouteConfiguration {
    let action = rds::route::Action::NonForwardingAction(rds::NonForwardingAction {});
    let route = rds::Route { action: Some(action), ..route("", to("")) };
    routes(name, vec![route])
}
