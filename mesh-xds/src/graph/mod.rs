//! Which resources are wanted, and what the targets can be decided by.
//!
//! ```text
//! Update ─► store (last good + last error) ─► nodes and their counts ─► Delta { wanted, roots }
//!
//! root ─► Listener ─► RouteConfiguration ─► Cluster ─► ClusterLoadAssignment | DNS | Cluster …
//!                 └────────── TLS ─► Secret ◄─ TLS ─┘
//! ```
//!
//! Sans-IO: [`Graph::apply`] takes news in and says what follows. Work is in proportion to what
//! changed: references are counted, and a root knows how many of its dependencies are open.
//!
//! A root switches alone and as a whole (gRFC A74): when its listener, routes and every cluster of
//! the routes have a value or an error. Until then it keeps what it has. An update of endpoints
//! reaches the live cluster and nothing else. Bad news of a resource that is in use keeps it in use
//! (gRFC A88). What no root leads to is dropped.
//!
//! Secrets (SDS) hang on clusters and servers, which wait for those that they name before they are
//! used, and hear nothing of what is in them.
//!
//! A server is a root that ends at its routes, and at the clusters that its filters send side calls
//! to: it switches to a listener when each of what the listener names has a value or an error
//! (gRFC A36).

mod aggregate;
mod apply;
mod arena;
mod cluster;
mod delta;
mod dns;
mod node;
#[cfg(test)]
mod resolve;
mod resource;
mod root;
mod secret;
mod server;
mod status;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

pub use delta::{Delta, Event, Resolve, RootId, SecretNews, Update};
pub use resource::{Failure, State};
pub use root::DemandError;
pub use status::{ResourceStatus, RootStatus, ServerStatus, Status};

use self::arena::{Arena, Key};
use self::node::{ClusterNode, EndpointsNode, ListenerNode, RouteNode};
use self::root::RootNode;
use self::secret::SecretNode;
use self::server::ServerNode;
use crate::name::{ResourceName, ResourceType};
use crate::parse::Registry;

/// The resources that the roots lead to.
#[derive(Debug, Default)]
pub struct Graph {
    registry: Registry,
    listeners: Arena<ListenerNode>,
    routes: Arena<RouteNode>,
    clusters: Arena<ClusterNode>,
    endpoints: Arena<EndpointsNode>,
    secrets: Arena<SecretNode>,
    roots: BTreeMap<RootId, RootNode>,
    servers: BTreeMap<RootId, ServerNode>,
    next_root: u64,
    pending: Pending,
}

/// What a change leaves to be done before its delta is complete.
#[derive(Debug, Default)]
struct Pending {
    roots: Vec<RootId>,
    servers: Vec<RootId>,
    aggregates: Vec<Key>,
    created: Vec<(ResourceType, Key)>,
    unused: Vec<(ResourceType, Key)>,
}

impl Graph {
    /// A graph without roots, whose listeners may use the filters of `registry`.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, ..Self::default() }
    }

    /// Adds a root for `target`, such as `xds:///greeter`, whose listener is called `listener`.
    pub fn add_root(
        &mut self,
        target: Arc<str>,
        listener: ResourceName,
        now: SystemTime,
    ) -> (RootId, Delta) {
        let id = RootId(self.next_root);
        self.next_root += 1;
        let key = self.listener_key(listener, now);
        self.roots.insert(id, RootNode::new(target, key, now));
        if let Some(node) = self.listeners.get_mut(key) {
            node.roots.push(id);
        }
        self.touch_root(id);
        (id, self.finish(Delta::default(), now))
    }

    /// Removes a root, which may be a server, and with it what only it leads to.
    pub fn remove_root(&mut self, id: RootId, now: SystemTime) -> Delta {
        self.drop_root(id);
        self.drop_server(id);
        self.finish(Delta::default(), now)
    }

    /// Wants the cluster `name` for a request of `root` that names it (`cluster_header`).
    ///
    /// It stays wanted as long as the root does, unless there are so many that it has to make room
    /// for another.
    ///
    /// # Errors
    /// [`DemandError`] if the name is none, the root is gone, or too many demanded clusters are not
    /// known yet.
    pub fn demand_cluster(
        &mut self,
        root: RootId,
        name: &str,
        now: SystemTime,
    ) -> Result<Delta, DemandError> {
        self.demand(root, name, now)?;
        Ok(self.finish(Delta::default(), now))
    }

    /// Takes news of resources in. Names that are not wanted are ignored.
    pub fn apply(&mut self, update: Update, now: SystemTime) -> Delta {
        let mut delta = Delta::default();
        self.take_in(update, &mut delta, now);
        self.finish(delta, now)
    }

    /// Takes in what name `host` of the names to resolve of `cluster` resolved to.
    ///
    /// An error keeps the addresses of an earlier answer.
    pub fn handle_resolved(
        &mut self,
        cluster: &ResourceName,
        host: usize,
        result: Result<Vec<IpAddr>, Arc<str>>,
        now: SystemTime,
    ) -> Delta {
        self.answer(cluster, host, result);
        self.finish(Delta::default(), now)
    }

    /// Works off what is pending, until nothing is.
    fn finish(&mut self, mut delta: Delta, now: SystemTime) -> Delta {
        loop {
            if let Some(key) = self.pending.aggregates.pop() {
                self.evaluate_aggregate(key, now);
            } else if let Some(id) = self.pending.roots.pop() {
                self.evaluate_root(id, &mut delta, now);
            } else if let Some(id) = self.pending.servers.pop() {
                self.evaluate_server(id, &mut delta, now);
            } else {
                break;
            }
        }
        self.sweep(&mut delta);
        delta
    }
}
