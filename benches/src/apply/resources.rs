//! A mesh of any size.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig,
};
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, Locality, Metadata, SocketAddress,
};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use envoy_types::pb::envoy::config::listener::v3::{ApiListener, Listener};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds,
};
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, Resource};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{
    Any, Duration, Struct, UInt32Value, Value as ProtoValue,
};
use mesh_xds::control_plane::ResourceSet;
use prost::{Message, Name};

use crate::shared::Error;

/// The listener and the routes, and so the target: `xds:///echo`.
pub(super) const NAME: &str = "echo";

/// A listener with a route to each of some clusters: resources by type.
#[derive(Debug)]
pub struct Mesh {
    resources: Vec<(String, Any)>,
    /// By type URL, encoded.
    responses: HashMap<String, Vec<u8>>,
}

impl Mesh {
    /// `clusters` clusters with `endpoints` endpoints each.
    #[must_use]
    pub fn new(clusters: usize, endpoints: usize) -> Self {
        Self::of((0..clusters).map(|number| (number, endpoints)))
    }

    /// Clusters by number, each with so many endpoints.
    pub fn of(clusters: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let named = |(number, endpoints)| (cluster(number), endpoints);
        let clusters: Vec<_> = clusters.into_iter().map(named).collect();
        let routes = any(&routes(clusters.iter().map(|(name, _)| name)));
        let mut resources = vec![(NAME.to_owned(), any(&listener())), (NAME.to_owned(), routes)];
        let mut first = 0;
        for (name, endpoints) in &clusters {
            resources.push((name.clone(), any(&cluster_message(name))));
            resources.push((name.clone(), any(&assignment(name, first, *endpoints, None))));
            first += endpoints;
        }
        let mut responses = HashMap::new();
        for url in resources.iter().map(|(_, any)| &any.type_url) {
            if !responses.contains_key(url) {
                let of = resources.iter().filter(|(_, any)| any.type_url == *url);
                responses.insert(url.clone(), response(url, of));
            }
        }
        Self { resources, responses }
    }

    /// A response with all resources of a type, encoded.
    ///
    /// # Errors
    /// There are none.
    pub fn response(&self, type_url: &str) -> Result<&[u8], Error> {
        let response = self.responses.get(type_url).ok_or_else(|| format!("no {type_url}"))?;
        Ok(response)
    }

    /// The response with the routes.
    ///
    /// # Errors
    /// None: there are always routes.
    pub fn routes(&self) -> Result<&[u8], Error> {
        self.response(&RouteConfiguration::type_url())
    }

    /// All of it, for a control plane.
    #[must_use]
    pub fn to_set(&self) -> ResourceSet {
        let mut set = ResourceSet::new();
        for (name, any) in &self.resources {
            set.insert(&any.type_url, name, any.value.clone());
        }
        set
    }
}

/// The name of a cluster, as control planes make them.
#[must_use]
pub fn cluster(number: usize) -> String {
    format!("outbound|8080||service-{number:05}.shop.svc.cluster.local")
}

/// An encoded response with `assignment` alone.
#[must_use]
pub fn update(assignment: &ClusterLoadAssignment) -> Vec<u8> {
    let resource = (assignment.cluster_name.clone(), any(assignment));
    response(&ClusterLoadAssignment::type_url(), [&resource].into_iter())
}

/// `count` endpoints with the addresses from number `first` on, of which `changed` has a weight of
/// its own.
#[must_use]
pub fn assignment(
    cluster: &str,
    first: usize,
    count: usize,
    changed: Option<(usize, u32)>,
) -> ClusterLoadAssignment {
    let endpoint = |at| {
        let weight = changed.filter(|(changed, _)| *changed == at).map_or(1, |(_, weight)| weight);
        endpoint(first + at, weight)
    };
    let locality = LocalityLbEndpoints {
        locality: Some(Locality {
            region: "eu-west-1".to_owned(),
            zone: "eu-west-1a".to_owned(),
            ..Locality::default()
        }),
        lb_endpoints: (0..count).map(endpoint).collect(),
        load_balancing_weight: Some(UInt32Value { value: 1 }),
        ..LocalityLbEndpoints::default()
    };
    ClusterLoadAssignment {
        cluster_name: cluster.to_owned(),
        endpoints: vec![locality],
        ..ClusterLoadAssignment::default()
    }
}

/// With the metadata that Istio gives it.
fn endpoint(number: usize, weight: u32) -> LbEndpoint {
    let bits = 0x0a00_0000 | u32::try_from(number).unwrap_or(u32::MAX) & 0x00ff_ffff;
    let socket = SocketAddress {
        address: Ipv4Addr::from_bits(bits).to_string(),
        port_specifier: Some(PortSpecifier::PortValue(8080)),
        ..SocketAddress::default()
    };
    let workload = format!("orders-{number};shop;orders;v1;Kubernetes");
    let workload = ProtoValue { kind: Some(Kind::StringValue(workload)) };
    let istio = Struct { fields: [("workload".to_owned(), workload)].into() };
    LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(Endpoint {
            address: Some(Address { address: Some(AddressKind::SocketAddress(socket)) }),
            ..Endpoint::default()
        })),
        load_balancing_weight: Some(UInt32Value { value: weight }),
        metadata: Some(Metadata {
            filter_metadata: [("istio".to_owned(), istio)].into(),
            ..Metadata::default()
        }),
        ..LbEndpoint::default()
    }
}

fn response<'a>(url: &str, resources: impl Iterator<Item = &'a (String, Any)>) -> Vec<u8> {
    static NONCE: AtomicU64 = AtomicU64::new(1);
    // All as long as each other, as hashes are: they are kept.
    let nonce = format!("{:016x}", NONCE.fetch_add(1, Ordering::Relaxed));
    let resources = resources.map(|(name, any)| Resource {
        name: name.clone(),
        version: nonce.clone(),
        resource: Some(any.clone()),
        ..Resource::default()
    });
    let response = DeltaDiscoveryResponse {
        system_version_info: nonce.clone(),
        resources: resources.collect(),
        type_url: url.to_owned(),
        nonce: nonce.clone(),
        ..DeltaDiscoveryResponse::default()
    };
    response.encode_to_vec()
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn cluster_message(name: &str) -> Cluster {
    Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(ads()),
            ..EdsClusterConfig::default()
        }),
        connect_timeout: Some(Duration { seconds: 5, nanos: 0 }),
        ..Cluster::default()
    }
}

fn listener() -> Listener {
    let router = HttpFilter {
        name: "router".to_owned(),
        config_type: Some(ConfigType::TypedConfig(any(&Router::default()))),
        ..HttpFilter::default()
    };
    let rds = Rds { config_source: Some(ads()), route_config_name: NAME.to_owned() };
    let manager = HttpConnectionManager {
        route_specifier: Some(RouteSpecifier::Rds(rds)),
        http_filters: vec![router],
        ..HttpConnectionManager::default()
    };
    Listener {
        name: NAME.to_owned(),
        api_listener: Some(ApiListener { api_listener: Some(any(&manager)) }),
        ..Listener::default()
    }
}

fn routes<'a>(clusters: impl Iterator<Item = &'a String>) -> RouteConfiguration {
    let route = |(number, cluster): (usize, &String)| Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix(format!("/shop.Service{number}/"))),
            ..RouteMatch::default()
        }),
        action: Some(Action::Route(RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.clone())),
            ..RouteAction::default()
        })),
        ..Route::default()
    };
    let host = VirtualHost {
        name: NAME.to_owned(),
        domains: vec!["*".to_owned()],
        routes: clusters.enumerate().map(route).collect(),
        ..VirtualHost::default()
    };
    RouteConfiguration {
        name: NAME.to_owned(),
        virtual_hosts: vec![host],
        ..RouteConfiguration::default()
    }
}

fn ads() -> ConfigSource {
    ConfigSource {
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        resource_api_version: ApiVersion::V3.into(),
        ..ConfigSource::default()
    }
}
