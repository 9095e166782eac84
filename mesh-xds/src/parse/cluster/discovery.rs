//! Where a cluster's endpoints come from.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CustomClusterType, DiscoveryType,
};
use envoy_types::pb::envoy::extensions::clusters::aggregate::v3::ClusterConfig;
use mesh_core::cluster::Discovery;
use prost::Message;

use crate::name::{ResourceName, ResourceType};
use crate::parse::endpoints::{self, Origin};
use crate::parse::value::{positive_duration, same_stream, unpack};
use crate::parse::{Path, Reject};

/// Envoy's default for `dns_refresh_rate`.
const DNS_REFRESH: Duration = Duration::from_secs(5);

pub(super) fn discovery(message: &Cluster, path: &Path<'_>) -> Result<Discovery, Reject> {
    let kind = match &message.cluster_discovery_type {
        Some(ClusterDiscoveryType::ClusterType(custom)) => {
            return aggregate(custom, &path.field("cluster_type"));
        }
        Some(ClusterDiscoveryType::Type(kind)) => *kind,
        None => DiscoveryType::Static.into(),
    };
    match DiscoveryType::try_from(kind) {
        Ok(DiscoveryType::Eds) => eds(message, path),
        Ok(DiscoveryType::Static) => {
            let (raw, path) = (load_assignment(message, path)?, path.field("load_assignment"));
            let assignment = endpoints::assignment(None, &raw, Origin::Cluster, &path)?;
            Ok(Discovery::Static(Arc::new(assignment)))
        }
        Ok(DiscoveryType::StrictDns) => {
            let (raw, refresh) = (load_assignment(message, path)?, refresh(message, path)?);
            let hosts = endpoints::hosts(&raw, &path.field("load_assignment"))?.into();
            Ok(Discovery::StrictDns { hosts, refresh })
        }
        Ok(DiscoveryType::LogicalDns) => logical_dns(message, path),
        Ok(DiscoveryType::OriginalDst) | Err(_) => {
            Err(path.field("type").reject(format_args!("{kind} is not supported")))
        }
    }
}

fn eds(message: &Cluster, path: &Path<'_>) -> Result<Discovery, Reject> {
    let path = path.field("eds_cluster_config");
    let config = message.eds_cluster_config.as_ref().ok_or_else(|| path.reject("is required"))?;
    same_stream(config.eds_config.as_ref(), &path.field("eds_config"))?;
    let service = if !config.service_name.is_empty() {
        &config.service_name
    } else if message.name.starts_with("xdstp:") {
        // The cluster's name says that it is a Cluster, so it cannot be an assignment's (A47).
        return Err(path.field("service_name").reject("is required for an xdstp name"));
    } else {
        &message.name
    };
    ResourceName::parse(ResourceType::ClusterLoadAssignment, service)
        .map_err(|why| path.field("service_name").reject(why))?;
    Ok(Discovery::Eds { service: service.as_str().into() })
}

/// Exactly one name (gRFC A37).
fn logical_dns(message: &Cluster, path: &Path<'_>) -> Result<Discovery, Reject> {
    let (raw, refresh) = (load_assignment(message, path)?, refresh(message, path)?);
    let path = path.field("load_assignment");
    let localities = message.load_assignment.iter().flat_map(|a| &a.endpoints);
    let counts: Vec<usize> = localities.map(|l| l.lb_endpoints.len()).collect();
    match *counts {
        [1] => {}
        [_] => {
            let path = path.element("endpoints", 0);
            return Err(path.field("lb_endpoints").reject("must be exactly one"));
        }
        _ => return Err(path.field("endpoints").reject("must be exactly one")),
    }
    let host = endpoints::hosts(&raw, &path)?.pop();
    let weightless = || path.element("endpoints", 0).field("load_balancing_weight").reject("is 0");
    Ok(Discovery::LogicalDns { host: host.ok_or_else(weightless)?, refresh })
}

fn load_assignment(message: &Cluster, path: &Path<'_>) -> Result<Vec<u8>, Reject> {
    let assignment = message.load_assignment.as_ref();
    let required = || path.field("load_assignment").reject("is required");
    Ok(assignment.ok_or_else(required)?.encode_to_vec())
}

fn refresh(message: &Cluster, path: &Path<'_>) -> Result<Duration, Reject> {
    #[expect(deprecated, reason = "control planes send it")]
    let refresh = message.dns_refresh_rate;
    let refresh = positive_duration(refresh, &path.field("dns_refresh_rate"))?;
    Ok(refresh.unwrap_or(DNS_REFRESH))
}

fn aggregate(custom: &CustomClusterType, path: &Path<'_>) -> Result<Discovery, Reject> {
    let path = path.field("typed_config");
    let any = custom.typed_config.as_ref().ok_or_else(|| path.reject("is required"))?;
    let Some(config) = unpack::<ClusterConfig>(any, &path)? else {
        return Err(path.reject(format_args!("{:?} is not supported", any.type_url)));
    };
    if config.clusters.is_empty() {
        return Err(path.field("clusters").reject("is empty"));
    }
    for (at, name) in config.clusters.iter().enumerate() {
        ResourceName::parse(ResourceType::Cluster, name)
            .map_err(|why| path.element("clusters", at).reject(why))?;
    }
    Ok(Discovery::Aggregate(config.clusters.iter().map(|name| name.as_str().into()).collect()))
}
