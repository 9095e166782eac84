//! How an endpoint is chosen.

use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, LbConfig, LbPolicy,
};
use envoy_types::pb::envoy::config::cluster::v3::{Cluster, LoadBalancingPolicy};
use envoy_types::pb::envoy::extensions::load_balancing_policies::common::v3::LocalityLbConfig;
use envoy_types::pb::envoy::extensions::load_balancing_policies::common::v3::locality_lb_config::LocalityConfigSpecifier;
use envoy_types::pb::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use envoy_types::pb::envoy::extensions::load_balancing_policies::pick_first::v3::PickFirst;
use envoy_types::pb::envoy::extensions::load_balancing_policies::random::v3::Random;
use envoy_types::pb::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use envoy_types::pb::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use envoy_types::pb::google::protobuf::{Any, UInt32Value};
use mesh_core::cluster::{LoadBalancing, Policy};

use crate::parse::value::{typed_config, unpack};
use crate::parse::{Path, Reject};

/// How deep policies may hold policies (gRFC A52).
const DEPTH: usize = 16;

pub(super) fn config(message: &Cluster, path: &Path<'_>) -> Result<LoadBalancing, Reject> {
    if let Some(policy) = &message.load_balancing_policy {
        return listed(policy, DEPTH, &path.field("load_balancing_policy"));
    }
    let custom =
        matches!(message.cluster_discovery_type, Some(ClusterDiscoveryType::ClusterType(_)));
    let policy = match LbPolicy::try_from(message.lb_policy) {
        Ok(LbPolicy::RoundRobin) => Policy::RoundRobin,
        // What Envoy asks of an aggregate; its leaves say how they balance.
        Ok(LbPolicy::ClusterProvided) if custom => Policy::RoundRobin,
        Ok(LbPolicy::Random) => Policy::Random,
        Ok(LbPolicy::LeastRequest) => {
            let path = path.field("least_request_lb_config");
            let count = match &message.lb_config {
                Some(LbConfig::LeastRequestLbConfig(config)) => config.choice_count,
                _ => None,
            };
            Policy::LeastRequest { choices: choices(count, &path)? }
        }
        Ok(
            LbPolicy::RingHash
            | LbPolicy::Maglev
            | LbPolicy::ClusterProvided
            | LbPolicy::LoadBalancingPolicyConfig,
        )
        | Err(_) => {
            let policy = message.lb_policy;
            return Err(path.field("lb_policy").reject(format_args!("{policy} is not supported")));
        }
    };
    Ok(LoadBalancing { policy, locality_weighted: true })
}

/// The first policy of the list that we know (gRFC A52).
fn listed(
    list: &LoadBalancingPolicy,
    depth: usize,
    path: &Path<'_>,
) -> Result<LoadBalancing, Reject> {
    if depth == 0 {
        return Err(path.reject("is nested too deep"));
    }
    for (at, policy) in list.policies.iter().enumerate() {
        let path = path.element("policies", at);
        let path = path.field("typed_extension_config");
        let any = typed_config(policy.typed_extension_config.as_ref(), &path)?;
        if let Some(config) = known(any, depth, &path.field("typed_config"))? {
            return Ok(config);
        }
    }
    Err(path.field("policies").reject("none is supported"))
}

fn known(any: &Any, depth: usize, path: &Path<'_>) -> Result<Option<LoadBalancing>, Reject> {
    let config = |policy, locality: Option<&LocalityLbConfig>| {
        Ok(Some(LoadBalancing { policy, locality_weighted: is_locality_weighted(locality) }))
    };
    if let Some(message) = unpack::<RoundRobin>(any, path)? {
        return config(Policy::RoundRobin, message.locality_lb_config.as_ref());
    }
    if let Some(message) = unpack::<LeastRequest>(any, path)? {
        let choices = choices(message.choice_count, path)?;
        return config(Policy::LeastRequest { choices }, message.locality_lb_config.as_ref());
    }
    if let Some(message) = unpack::<Random>(any, path)? {
        return config(Policy::Random, message.locality_lb_config.as_ref());
    }
    if let Some(message) = unpack::<PickFirst>(any, path)? {
        return config(Policy::PickFirst { shuffle: message.shuffle_address_list }, None);
    }
    if let Some(message) = unpack::<WrrLocality>(any, path)? {
        let path = path.field("endpoint_picking_policy");
        let list = message.endpoint_picking_policy.ok_or_else(|| path.reject("is required"))?;
        let within = listed(&list, depth - 1, &path)?;
        return Ok(Some(LoadBalancing { locality_weighted: true, ..within }));
    }
    Ok(None)
}

fn is_locality_weighted(config: Option<&LocalityLbConfig>) -> bool {
    let specifier = config.and_then(|c| c.locality_config_specifier.as_ref());
    matches!(specifier, Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(_)))
}

/// `choice_count` (gRFC A48).
fn choices(count: Option<UInt32Value>, path: &Path<'_>) -> Result<u32, Reject> {
    match count.map_or(2, |c| c.value) {
        0 | 1 => Err(path.field("choice_count").reject("is below 2")),
        count => Ok(count.min(10)),
    }
}
