//! Resources for tests, in as few words as they allow.

use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as eds;
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
