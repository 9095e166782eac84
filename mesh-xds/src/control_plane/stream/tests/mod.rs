//! Transcripts: what the client says, what the server sends.

mod delta;
mod sotw;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use envoy_types::pb::envoy::config::cluster::v3::{
    Cluster,
    cluster::{ClusterDiscoveryType, DiscoveryType},
};
use prost::Message;

use super::{Machine, Snapshot};
use crate::control_plane::{
    client::Subscription,
    resources::ResourceSet,
    type_url::{CLUSTER, ENDPOINTS, LISTENER, ROUTES},
};

/// A set from `cds/a=1 eds/b=2`: short names of types, names, contents.
fn resources(text: &str) -> Arc<Snapshot> {
    let mut set = ResourceSet::new();
    for resource in text.split_whitespace() {
        let (r#type, rest) = resource.split_once('/').unwrap();
        let (name, content) = rest.split_once('=').unwrap();
        set.insert(type_url(r#type), name, content.as_bytes().to_vec());
    }
    Arc::new(Snapshot::new(set))
}

/// The bytes of an EDS cluster, different for each `content`.
fn eds_cluster(name: &str, content: &str) -> Vec<u8> {
    let cluster = Cluster {
        name: name.to_owned(),
        alt_stat_name: content.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        ..Cluster::default()
    };
    cluster.encode_to_vec()
}

fn type_url(short: &str) -> &str {
    match short {
        "cds" => CLUSTER,
        "eds" => ENDPOINTS,
        "lds" => LISTENER,
        "rds" => ROUTES,
        "" => "",
        other => other,
    }
}

fn short(type_url: &str) -> &str {
    match type_url {
        CLUSTER => "cds",
        ENDPOINTS => "eds",
        LISTENER => "lds",
        ROUTES => "rds",
        other => other,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn content(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap()
}

/// A machine with all types released, and the nonce and version it sent last of each type.
struct Server<M> {
    machine: M,
    last: BTreeMap<String, (String, String)>,
}

impl<M: Machine> Server<M> {
    fn new(text: &str) -> Self {
        Self::with(resources(text))
    }

    fn with(resources: Arc<Snapshot>) -> Self {
        Self { machine: M::new(resources), last: BTreeMap::new() }
    }

    fn set(&mut self, text: &str) {
        self.machine.handle_resources(resources(text));
    }

    fn poll(&mut self) -> Option<M::Response> {
        self.machine.poll_response(&BTreeSet::new())
    }

    fn status(&self, r#type: &str) -> Subscription {
        self.machine.subscriptions()[type_url(r#type)].clone()
    }
}
