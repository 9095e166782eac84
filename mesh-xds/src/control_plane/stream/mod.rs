//! What a stream owes its client, sans-IO: requests and resources in, responses out.

mod delta;
mod sotw;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use envoy_types::pb::{
    envoy::config::{
        cluster::v3::{Cluster, cluster},
        core::v3,
    },
    google::protobuf::Any,
};
use prost::Message;
use thiserror::Error;

pub(crate) use delta::Delta;
pub(crate) use sotw::Sotw;

use super::{
    client::{Subscription, Variant},
    resources::{Resource, Snapshot},
    type_url,
};

/// One stream's side of the protocol.
pub(crate) trait Machine {
    type Request;
    type Response;

    const VARIANT: Variant;

    fn new(resources: Arc<Snapshot>) -> Self;

    /// The node in a request; only the first is sure to have it.
    fn node(request: &mut Self::Request) -> Option<v3::Node>;

    fn handle_request(&mut self, request: Self::Request) -> Result<(), Violation>;

    /// Serves these resources from now on.
    fn handle_resources(&mut self, resources: Arc<Snapshot>);

    /// The next response, in the order that makes before it breaks; none of the `held` types.
    fn poll_response(&mut self, held: &BTreeSet<String>) -> Option<Self::Response>;

    /// A response with whatever is in it, for tests of clients.
    fn inject(&mut self, injection: &Injection) -> Self::Response;

    fn subscriptions(&self) -> BTreeMap<String, Subscription>;
}

/// What the client did that no server can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Violation {
    #[error("the request has no type_url")]
    NoType,
    #[error("more than {MAX_TYPES} types on one stream")]
    TooManyTypes,
}

/// A response that was made up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Injection {
    /// For streams up to this one.
    pub(crate) streams: u64,
    /// Counts injections.
    pub(crate) number: u64,
    pub(crate) type_url: String,
    pub(crate) version: String,
    pub(crate) resources: Vec<Any>,
}

/// Ten or so are in use; the bound is against clients that make them up.
const MAX_TYPES: usize = 64;

const WILDCARD: &str = "*";

/// The types that lead traffic to clusters.
const TRAFFIC: [&str; 2] = [type_url::LISTENER, type_url::ROUTES];

/// Whether resources of this type lead traffic to clusters.
///
/// They wait until the client has answered the clusters. Envoy puts that answer off until clusters
/// are warm, for just this purpose (`ClusterManagerImpl::updateClusterCounts`): routes to a cluster
/// that is not warm would fail requests.
fn leads_traffic(type_url: &str) -> bool {
    TRAFFIC.contains(&type_url)
}

fn check_type<V>(types: &BTreeMap<String, V>, type_url: &str) -> Result<(), Violation> {
    if type_url.is_empty() {
        Err(Violation::NoType)
    } else if types.len() >= MAX_TYPES && !types.contains_key(type_url) {
        Err(Violation::TooManyTypes)
    } else {
        Ok(())
    }
}

/// The name of the endpoints of an encoded EDS cluster.
///
/// Envoy warms a cluster that was added or changed until it is sent endpoints, even if it has them
/// already ("resource warming" in the xDS protocol): they are sent again with every change.
fn endpoints_name(cluster: &Resource) -> Option<String> {
    let cluster = Cluster::decode(cluster.value().clone()).ok()?;
    let eds = cluster::ClusterDiscoveryType::Type(cluster::DiscoveryType::Eds.into());
    if cluster.cluster_discovery_type != Some(eds) {
        return None;
    }
    let service_name = cluster.eds_cluster_config.map(|it| it.service_name).unwrap_or_default();
    Some(if service_name.is_empty() { cluster.name } else { service_name })
}

#[cfg(test)]
mod tests;
