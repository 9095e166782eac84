//! What is known, waited for and refused: for people and for CSDS (gRFC A40).

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use mesh_core::cluster::Address;
use mesh_core::snapshot::{Root, ServerRoot};

use super::node::Settled;
use super::resource::{Failure, Resource, State};
use super::{Graph, RootId};
use crate::name::{ResourceName, ResourceType};
use crate::parse::listener::Listener;

/// Everything that a graph knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The roots in the order they were added.
    pub roots: Vec<RootStatus>,
    /// The servers in the order they were added.
    pub servers: Vec<ServerStatus>,
    /// The wanted resources by type and name.
    pub resources: Vec<ResourceStatus>,
}

/// What is known of a root.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RootStatus {
    /// Which one.
    pub id: RootId,
    /// The target, such as `xds:///greeter`.
    pub target: Arc<str>,
    /// The name of its listener.
    pub listener: ResourceName,
    /// What its requests are decided by.
    pub state: Arc<Root>,
    /// Clusters that it waits for before it switches.
    pub waiting: Vec<ResourceName>,
}

/// What is known of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Which one.
    pub id: RootId,
    /// Where it listens.
    pub address: Address,
    /// The name of its listener.
    pub listener: ResourceName,
    /// What its connections are decided by.
    pub state: Arc<ServerRoot>,
    /// Routes and secrets that a newer listener waits for before it is used.
    pub waiting: Vec<ResourceName>,
}

/// What is known of a resource.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResourceStatus {
    /// Its type.
    pub kind: ResourceType,
    /// Its name.
    pub name: ResourceName,
    /// What was last heard of it.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// The version that is in use; empty if there is none.
    pub version: Arc<str>,
    /// The message that is in use; empty if there is none. Always empty of secrets.
    pub raw: Bytes,
    /// What is wrong with a later one.
    pub error: Option<Failure>,
    /// What the message in use names and is not acted on: optional filters that are not known.
    pub ignored: Vec<Arc<str>>,
}

impl Graph {
    /// What is known, waited for and refused. Goes over everything.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut resources = Vec::new();
        let listeners = self.listeners.iter().map(|(n, node)| (n, entry(&node.resource)));
        collect(&mut resources, ResourceType::Listener, listeners);
        let routes = self.routes.iter().map(|(n, node)| (n, entry(&node.resource)));
        collect(&mut resources, ResourceType::RouteConfiguration, routes);
        let clusters = self.clusters.iter().map(|(n, node)| (n, entry(&node.resource)));
        collect(&mut resources, ResourceType::Cluster, clusters);
        let endpoints = self.endpoints.iter().map(|(n, node)| (n, entry(&node.resource)));
        collect(&mut resources, ResourceType::ClusterLoadAssignment, endpoints);
        for resource in resources.iter_mut().filter(|it| it.kind == ResourceType::Listener) {
            let node = self.listeners.find(&resource.name).and_then(|key| self.listeners.get(key));
            let good = node.and_then(|node| node.resource.good.as_ref());
            resource.ignored = good.map(Listener::ignored).unwrap_or_default();
        }
        let secrets = self.secrets.iter().map(|(n, node)| (n, entry(&node.resource)));
        collect(&mut resources, ResourceType::Secret, secrets);
        resources.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Status { roots: self.root_status(), servers: self.server_status(), resources }
    }

    fn server_status(&self) -> Vec<ServerStatus> {
        let server = |(id, server): (&RootId, &super::server::ServerNode)| {
            Some(ServerStatus {
                id: *id,
                address: server.address.clone(),
                listener: self.listeners.name(server.listener)?.clone(),
                state: server.state.clone(),
                waiting: server.waiting.clone(),
            })
        };
        self.servers.iter().filter_map(server).collect()
    }

    fn root_status(&self) -> Vec<RootStatus> {
        let root = |(id, root): (&RootId, &super::root::RootNode)| {
            let open = root.candidate.iter().flat_map(|set| set.clusters.iter()).filter(|key| {
                let node = self.clusters.get(**key);
                node.is_some_and(|node| node.settled == Settled::Waiting)
            });
            Some(RootStatus {
                id: *id,
                target: root.target.clone(),
                listener: self.listeners.name(root.listener)?.clone(),
                state: root.state.clone(),
                waiting: open.filter_map(|key| self.clusters.name(*key).cloned()).collect(),
            })
        };
        self.roots.iter().filter_map(root).collect()
    }
}

/// A resource's status without its type and name.
type Entry = (State, SystemTime, Arc<str>, Bytes, Option<Failure>);

fn entry<T>(resource: &Resource<T>) -> Entry {
    let (version, raw) = (resource.version.clone(), resource.raw.clone());
    (resource.state, resource.since, version, raw, resource.error.as_deref().cloned())
}

fn collect<'a>(
    into: &mut Vec<ResourceStatus>,
    kind: ResourceType,
    entries: impl Iterator<Item = (&'a ResourceName, Entry)>,
) {
    into.extend(entries.map(|(name, (state, since, version, raw, error))| {
        let name = name.clone();
        let ignored = Vec::new();
        ResourceStatus { kind, name, state, since, version, raw, error, ignored }
    }));
}
