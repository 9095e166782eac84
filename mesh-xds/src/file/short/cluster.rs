//! A version of a service: a cluster, with its endpoints in it.

use std::collections::{BTreeMap, HashSet};

use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::thresholds::RetryBudget;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, LbPolicy,
};
use envoy_types::pb::envoy::config::cluster::v3::load_balancing_policy::Policy;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as eds;
use envoy_types::pb::envoy::extensions::load_balancing_policies::pick_first::v3::PickFirst;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions,
};
use envoy_types::pb::google::protobuf::UInt32Value;
use prost::Name;

use super::address::Address;
use super::breaker::Breaker;
use super::cursor::Cursor;
use super::service::{Scope, any, is_name};
use super::settings::{Balance, Protocol};
use super::tls;
use crate::file::error::{FileError, Why};

/// An endpoint, and where it stands among the others.
struct Endpoint<'n> {
    address: Address,
    weight: Option<u32>,
    priority: u32,
    locality: &'n str,
    cursor: Cursor<'n>,
}

/// The cluster of the version called `name`.
pub(super) fn compile(
    name: &str,
    cursor: &Cursor<'_>,
    scope: &Scope<'_>,
) -> Result<cds::Cluster, FileError> {
    if !is_name(name, ".-_") || matches!(name, "redirect" | "respond") {
        let why = "a version's name has letters, digits, `.`, `-` and `_`, and is neither \
                   `redirect` nor `respond`";
        return Err(cursor.fail_key(Why::Invalid(why.to_owned())));
    }
    let mut balance = scope.settings.balance;
    let endpoints = if cursor.is_text() {
        vec![endpoint(cursor.clone())?]
    } else if cursor.is_list() {
        endpoints(cursor)?
    } else {
        if cursor.entries().is_err() {
            return Err(cursor.mismatch("an address, a list of endpoints, or a mapping"));
        }
        let fields = cursor.fields(&["endpoints", "balance"])?;
        balance = scope.settings.clone().with(&fields)?.balance;
        endpoints(&fields.required("endpoints")?)?
    };
    let cluster = scope.cluster(name);
    let is_dns = endpoints.iter().any(|it| matches!(it.address, Address::Dns(..)));
    let pipe = endpoints.iter().find(|it| matches!(it.address, Address::Unix(_)));
    if let Some(pipe) = pipe.filter(|_| is_dns) {
        return Err(pipe.cursor.invalid("a version with DNS names cannot have Unix sockets"));
    }
    let kind = if is_dns { DiscoveryType::StrictDns } else { DiscoveryType::Static };
    let mut message = cds::Cluster {
        name: cluster.clone(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(kind.into())),
        load_assignment: Some(assignment(cluster, &endpoints)?),
        typed_extension_protocol_options: [(
            HttpProtocolOptions::full_name(),
            any(&options(scope.settings.protocol)),
        )]
        .into(),
        ..Default::default()
    };
    set_balance(&mut message, balance);
    if scope.is_retried {
        // A fifth of the requests, where Envoy would let three through at a time.
        let budget = RetryBudget::default();
        let thresholds = Thresholds { retry_budget: Some(budget), ..Default::default() };
        let thresholds = vec![thresholds];
        message.circuit_breakers = Some(cds::CircuitBreakers { thresholds, ..Default::default() });
    }
    message.metadata = scope.settings.breaker.as_ref().map(Breaker::metadata);
    if let Some(identity) = &scope.settings.identity {
        message.transport_socket = Some(tls::towards(identity, &scope.settings.peers));
    }
    Ok(message)
}

fn endpoints<'n>(list: &Cursor<'n>) -> Result<Vec<Endpoint<'n>>, FileError> {
    let endpoints: Vec<_> = list.items()?.into_iter().map(endpoint).collect::<Result<_, _>>()?;
    let mut seen = HashSet::new();
    if let Some(again) = endpoints.iter().find(|it| !seen.insert(&it.address)) {
        return Err(again.cursor.invalid("the address stands twice"));
    }
    Ok(endpoints)
}

fn endpoint(cursor: Cursor<'_>) -> Result<Endpoint<'_>, FileError> {
    if cursor.is_text() {
        let address = Address::read(&cursor)?;
        return Ok(Endpoint { address, weight: None, priority: 0, locality: "", cursor });
    }
    let fields = cursor.fields(&["address", "weight", "priority", "locality"])?;
    let weight = fields.get("weight").map(|weight| match weight.number(MAX_WEIGHT)? {
        0 => Err(weight.mismatch(&format!("a number from 1 to {MAX_WEIGHT}"))),
        number => Ok(number),
    });
    let priority = fields.get("priority").map(|priority| priority.number(MAX_PRIORITY));
    let locality = fields.get("locality").map(|locality| match locality.text()? {
        text if text.split('/').count() > 3 => {
            Err(locality.mismatch("a locality such as `region/zone/sub_zone`"))
        }
        text => Ok(text),
    });
    Ok(Endpoint {
        address: Address::read(&fields.required("address")?)?,
        weight: weight.transpose()?,
        priority: priority.transpose()?.unwrap_or(0),
        locality: locality.transpose()?.unwrap_or_default(),
        cursor,
    })
}

fn assignment(
    cluster: String,
    endpoints: &[Endpoint<'_>],
) -> Result<eds::ClusterLoadAssignment, FileError> {
    let mut groups: BTreeMap<(u32, &str), Vec<&Endpoint<'_>>> = BTreeMap::new();
    for endpoint in endpoints {
        groups.entry((endpoint.priority, endpoint.locality)).or_default().push(endpoint);
    }
    let mut localities = Vec::with_capacity(groups.len());
    let mut next = 0;
    for ((priority, name), group) in groups {
        if let Some(first) = group.first().filter(|_| priority > next) {
            let why = format!("priority {next} has no endpoints, and priority {priority} has");
            return Err(first.cursor.invalid(why));
        }
        next = priority + 1;
        // Each endpoint gets the same share, however many its locality has.
        let weight = group.iter().map(|it| u64::from(it.weight.unwrap_or(1))).sum::<u64>();
        localities.push(eds::LocalityLbEndpoints {
            locality: Some(locality(name)),
            priority,
            load_balancing_weight: u32::try_from(weight).ok().map(|value| UInt32Value { value }),
            lb_endpoints: group.into_iter().map(lb_endpoint).collect(),
            ..Default::default()
        });
    }
    Ok(eds::ClusterLoadAssignment {
        cluster_name: cluster,
        endpoints: localities,
        ..Default::default()
    })
}

fn locality(name: &str) -> core::Locality {
    let mut parts = name.split('/').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    core::Locality { region: part(), zone: part(), sub_zone: part() }
}

fn lb_endpoint(endpoint: &Endpoint<'_>) -> eds::LbEndpoint {
    let address = Some(endpoint.address.to_proto());
    eds::LbEndpoint {
        host_identifier: Some(eds::lb_endpoint::HostIdentifier::Endpoint(eds::Endpoint {
            address,
            ..Default::default()
        })),
        load_balancing_weight: endpoint.weight.map(|value| UInt32Value { value }),
        ..Default::default()
    }
}

fn options(protocol: Protocol) -> HttpProtocolOptions {
    let protocol = match protocol {
        Protocol::Http => {
            ProtocolConfig::HttpProtocolOptions(core::Http1ProtocolOptions::default())
        }
        Protocol::Http2 => {
            ProtocolConfig::Http2ProtocolOptions(core::Http2ProtocolOptions::default())
        }
    };
    let explicit = ExplicitHttpConfig { protocol_config: Some(protocol) };
    HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)),
        ..Default::default()
    }
}

fn set_balance(message: &mut cds::Cluster, balance: Balance) {
    message.lb_policy = match balance {
        Balance::RoundRobin => LbPolicy::RoundRobin,
        Balance::LeastRequest => LbPolicy::LeastRequest,
        Balance::Random => LbPolicy::Random,
        Balance::PickFirst => {
            let config = core::TypedExtensionConfig {
                name: "pick_first".to_owned(),
                typed_config: Some(any(&PickFirst::default())),
            };
            let policy = Policy { typed_extension_config: Some(config) };
            let list = cds::LoadBalancingPolicy { policies: vec![policy] };
            message.load_balancing_policy = Some(list);
            LbPolicy::LoadBalancingPolicyConfig
        }
    }
    .into();
}

/// More is a slip of the pen.
const MAX_WEIGHT: u32 = 1_000_000;

/// Envoy's bound.
const MAX_PRIORITY: u32 = 128;
