//! The nodes of the graph: resources, and who needs them.

use std::sync::Arc;

use bytes::Bytes;
use mesh_core::cluster::{Assignment, Cluster, Config};
use mesh_core::route::Table;
use std::time::SystemTime;

use super::RootId;
use super::arena::Key;
use super::dns::Dns;
use super::resource::Resource;
use crate::name::ResourceName;
use crate::parse::listener::Listener;

#[derive(Debug)]
pub(super) struct ListenerNode {
    pub(super) resource: Resource<Listener>,
    pub(super) roots: Vec<RootId>,
    /// The route configurations that the listener names, each once.
    pub(super) routes: Vec<Key>,
}

#[derive(Debug)]
pub(super) struct RouteNode {
    pub(super) resource: Resource<Arc<Table>>,
    pub(super) listeners: Vec<Key>,
}

/// An assignment's endpoints are parsed once for each cluster that uses them: state that outlives
/// versions belongs to an endpoint of a cluster.
#[derive(Debug)]
pub(super) struct EndpointsNode {
    pub(super) resource: Resource<()>,
    pub(super) clusters: Vec<Key>,
}

#[derive(Debug)]
pub(super) struct ClusterNode {
    pub(super) resource: Resource<Arc<Config>>,
    /// Roots that need it themselves.
    pub(super) users: Vec<User>,
    /// Aggregates, needed by roots, that it is a part of.
    pub(super) holders: Vec<Key>,
    pub(super) source: Source,
    /// The newest endpoints; where they came from.
    pub(super) assigned: Option<Assigned>,
    pub(super) settled: Settled,
    /// What the data plane sees. Stays while there is a node.
    pub(super) live: Option<Arc<Cluster>>,
    /// The secrets that its connections need, in order of their names.
    pub(super) secrets: Vec<Key>,
}

/// Why a root needs a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// Its routes name it.
    Table(RootId),
    /// A request named it.
    Demand(RootId),
}

/// Where a cluster's endpoints come from.
#[derive(Debug, Default)]
pub(super) enum Source {
    /// Nowhere yet, or from the cluster itself.
    #[default]
    Own,
    Endpoints(Key),
    Dns(Box<Dns>),
    /// From other clusters: all that can be reached, without this one, in no order.
    Aggregate(Vec<Key>),
}

#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) raw: Bytes,
    pub(super) model: Arc<Assignment>,
    /// The assignment's name; `None` if it is not a resource.
    pub(super) from: Option<ResourceName>,
}

/// The last complete state of a cluster. Never goes back to `Waiting` while there is a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Settled {
    #[default]
    Waiting,
    Ready,
    Broken(Arc<str>),
}

impl ListenerNode {
    pub(super) fn new(now: SystemTime) -> Self {
        Self { resource: Resource::new(now), roots: Vec::new(), routes: Vec::new() }
    }
}

impl RouteNode {
    pub(super) fn new(now: SystemTime) -> Self {
        Self { resource: Resource::new(now), listeners: Vec::new() }
    }
}

impl EndpointsNode {
    pub(super) fn new(now: SystemTime) -> Self {
        Self { resource: Resource::new(now), clusters: Vec::new() }
    }
}

impl ClusterNode {
    pub(super) fn new(now: SystemTime) -> Self {
        Self {
            resource: Resource::new(now),
            users: Vec::new(),
            holders: Vec::new(),
            source: Source::Own,
            assigned: None,
            settled: Settled::Waiting,
            live: None,
            secrets: Vec::new(),
        }
    }
}

/// Takes one `item` out of `list`.
pub(super) fn take_one<T: PartialEq>(list: &mut Vec<T>, item: &T) {
    if let Some(at) = list.iter().position(|i| i == item) {
        list.swap_remove(at);
    }
}
