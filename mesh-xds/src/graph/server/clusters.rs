//! The clusters that a server's filters send side calls to.

use std::sync::Arc;
use std::time::SystemTime;

use mesh_core::snapshot::ClusterSlot;

use super::Found;
use crate::graph::arena::{Arena, Key};
use crate::graph::node::{ClusterNode, Settled, User};
use crate::graph::{Graph, RootId};
use crate::name::{ResourceName, ResourceType};
use crate::parse::listener::Listener;

impl Graph {
    /// Holds the clusters that the newest listener of a server and the one in use name, and no
    /// others.
    pub(super) fn hold_clusters(&mut self, id: RootId, now: SystemTime) {
        let Some(server) = self.servers.get(&id) else { return };
        let newest = self.listeners.get(server.listener).and_then(|n| n.resource.good.as_ref());
        let newest = newest.and_then(|listener| match listener {
            Listener::Server(listener) => Some(listener),
            Listener::Client(_) => None,
        });
        let current = server.current.as_ref().map(|current| &current.listener);
        let mut names: Vec<_> =
            newest.into_iter().chain(current).flat_map(|l| l.clusters()).collect();
        names.sort_unstable();
        names.dedup();
        if names.iter().eq(server.held.iter().map(|(name, _)| name)) {
            return;
        }
        let mut hold = |name: Arc<str>| {
            let parsed = ResourceName::parse(ResourceType::Cluster, &name).ok()?;
            let key = self.cluster_key(&parsed, now);
            self.hold_cluster(key, User::Table(id));
            Some((name, key))
        };
        let held = names.into_iter().filter_map(&mut hold).collect();
        let Some(server) = self.servers.get_mut(&id) else { return };
        for (_, key) in std::mem::replace(&mut server.held, held) {
            self.release_cluster(key, User::Table(id));
        }
    }

    /// What is complete waits for its clusters.
    pub(super) fn with_clusters(&self, found: Found) -> Found {
        let Found::Complete(listener, tables) = found else { return found };
        let mut open = listener.clusters().filter(|name| {
            let name = ResourceName::parse(ResourceType::Cluster, name).ok();
            let key = name.and_then(|name| self.clusters.find(&name));
            let node = key.and_then(|key| self.clusters.get(key));
            node.is_some_and(|node| node.settled == Settled::Waiting)
        });
        match open.next() {
            Some(first) => {
                Found::Waiting(format!("waiting for cluster {first}").into(), Vec::new())
            }
            None => {
                drop(open);
                Found::Complete(listener, tables)
            }
        }
    }
}

/// What side calls to the cluster `name` find.
pub(super) fn slot(
    clusters: &Arena<ClusterNode>,
    held: &[(Arc<str>, Key)],
    name: &str,
) -> ClusterSlot {
    let held = held.iter().find(|(known, _)| **known == *name);
    let node = held.and_then(|(_, key)| clusters.get(*key));
    node.map_or(ClusterSlot::Broken("no cluster can be called that".into()), ClusterNode::slot)
}

/// Whether side calls find the same.
pub(super) fn are_same(old: &[(Arc<str>, ClusterSlot)], new: &[(Arc<str>, ClusterSlot)]) -> bool {
    let is_same = |old: &ClusterSlot, new: &ClusterSlot| match (old, new) {
        (ClusterSlot::Ready(old), ClusterSlot::Ready(new)) => Arc::ptr_eq(old, new),
        (ClusterSlot::Broken(old), ClusterSlot::Broken(new)) => old == new,
        (ClusterSlot::Ready(_) | ClusterSlot::Broken(_), _) => false,
    };
    let mut pairs = old.iter().zip(new);
    old.len() == new.len() && pairs.all(|(old, new)| old.0 == new.0 && is_same(&old.1, &new.1))
}
