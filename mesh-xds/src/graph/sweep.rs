//! Dropping what nobody needs, and telling what is wanted.

use super::arena::Key;
use super::delta::SecretNews;
use super::node::{Settled, Source};
use super::secret::SecretUser;
use super::{Delta, Graph, Pending};
use crate::name::{ResourceName, ResourceType};

impl Graph {
    /// Drops unused nodes, and fills in what is wanted and what is not any more.
    pub(super) fn sweep(&mut self, delta: &mut Delta) {
        while let Some((kind, key)) = self.pending.unused.pop() {
            let removed = match kind {
                ResourceType::Listener => self.sweep_listener(key),
                ResourceType::RouteConfiguration => self.sweep_route(key),
                ResourceType::Cluster => self.sweep_cluster(key, delta),
                ResourceType::ClusterLoadAssignment => self.sweep_endpoints(key),
                ResourceType::Secret => self.sweep_secret(key),
            };
            delta.removed.extend(removed.map(|name| (kind, name)));
        }
        for (kind, key) in std::mem::take(&mut self.pending.created) {
            let node = match kind {
                ResourceType::Listener => {
                    announce(&mut self.listeners, key, |n| &mut n.resource.is_announced)
                }
                ResourceType::RouteConfiguration => {
                    announce(&mut self.routes, key, |n| &mut n.resource.is_announced)
                }
                ResourceType::Cluster => {
                    announce(&mut self.clusters, key, |n| &mut n.resource.is_announced)
                }
                ResourceType::ClusterLoadAssignment => {
                    announce(&mut self.endpoints, key, |n| &mut n.resource.is_announced)
                }
                ResourceType::Secret => self.announce_secret(key, delta),
            };
            delta.added.extend(node.map(|name| (kind, name)));
        }
        let Pending { roots, servers, aggregates, created: _, unused } = &mut self.pending;
        roots.shrink_to(FEW);
        servers.shrink_to(FEW);
        aggregates.shrink_to(FEW);
        unused.shrink_to(FEW);
    }

    fn sweep_listener(&mut self, key: Key) -> Option<ResourceName> {
        if !self.listeners.get(key)?.roots.is_empty() {
            return None;
        }
        let (name, node) = self.listeners.remove(key)?;
        node.routes.into_iter().for_each(|route| self.release_route(route, key));
        node.resource.is_announced.then_some(name)
    }

    fn sweep_route(&mut self, key: Key) -> Option<ResourceName> {
        if !self.routes.get(key)?.listeners.is_empty() {
            return None;
        }
        let (name, node) = self.routes.remove(key)?;
        node.resource.is_announced.then_some(name)
    }

    fn sweep_endpoints(&mut self, key: Key) -> Option<ResourceName> {
        if !self.endpoints.get(key)?.clusters.is_empty() {
            return None;
        }
        let (name, node) = self.endpoints.remove(key)?;
        node.resource.is_announced.then_some(name)
    }

    fn sweep_secret(&mut self, key: Key) -> Option<ResourceName> {
        if !self.secrets.get(key)?.users.is_empty() {
            return None;
        }
        let (name, node) = self.secrets.remove(key)?;
        node.resource.is_announced.then_some(name)
    }

    fn announce_secret(&mut self, key: Key, delta: &mut Delta) -> Option<ResourceName> {
        let name = announce(&mut self.secrets, key, |n| &mut n.resource.is_announced)?;
        let feed = self.secrets.get(key)?.feed.clone();
        delta.secrets.push((name.clone(), SecretNews::Wanted(feed)));
        Some(name)
    }

    fn sweep_cluster(&mut self, key: Key, delta: &mut Delta) -> Option<ResourceName> {
        let node = self.clusters.get_mut(key)?;
        if !node.users.is_empty() {
            return None;
        }
        if let Source::Aggregate(members) = &mut node.source {
            // Only aggregates that roots need hold their parts: cycles do not keep each other.
            let members = std::mem::take(members);
            node.settled = Settled::Waiting;
            node.live = None;
            self.release_members(key, &members);
        }
        if !self.clusters.get(key)?.holders.is_empty() {
            return None;
        }
        self.clear_source(key, delta);
        let (name, node) = self.clusters.remove(key)?;
        self.release_secrets(SecretUser::Cluster(key), node.secrets);
        node.resource.is_announced.then_some(name)
    }
}

/// A change usually leaves no more than this to be done. The memory of more goes with the change.
const FEW: usize = 4;

fn announce<N>(
    arena: &mut super::arena::Arena<N>,
    key: Key,
    flag: impl FnOnce(&mut N) -> &mut bool,
) -> Option<ResourceName> {
    let is_announced = std::mem::replace(flag(arena.get_mut(key)?), true);
    arena.name(key).filter(|_| !is_announced).cloned()
}
