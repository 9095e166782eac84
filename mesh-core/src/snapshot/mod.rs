//! What a target's requests are decided by: one complete configuration at a time.
//!
//! ```text
//! routes + clusters + filters ─► Snapshot ─► Cell<Root> (one per target) ─► plan ─► Plan | NoPlan
//! ```
//!
//! A [`Snapshot`] never changes; a switch of the target publishes another one. Endpoints are not
//! part of it: they change in the [`Cluster`](crate::cluster::Cluster)s that it holds. Where it
//! came from, a management server, a file or code, does not show.
//!
//! Servers have a [`ServerSnapshot`] in the same way, without clusters.

mod chains;
mod filters;
mod plan;
mod root;
mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use chains::Chains;
pub use filters::HttpFilter;
pub use plan::{NoPlan, Plan};
pub use root::{ClusterSlot, Presence, Root, Stamp};
use rustc_hash::FxHashMap;
pub use server::{
    Connections, FilterChain, Inspection, Routes, Routing, ServerPlan, ServerRoot, ServerSnapshot,
    Underscores,
};

use crate::route::{Action, ClusterChoice, Table};

/// One complete configuration of a target.
#[derive(Clone, Debug)]
pub struct Snapshot {
    target: Arc<str>,
    stamp: Stamp,
    table: Arc<Table>,
    /// Parallel to the clusters of the table.
    clusters: Box<[ClusterSlot]>,
    /// Clusters by name, for routes whose requests name them. Empty if there is no such route.
    named: FxHashMap<Arc<str>, ClusterSlot>,
    chains: Arc<Chains>,
    max_stream_duration: Option<Duration>,
}

impl Snapshot {
    /// A configuration of `target` with the routes of `table`, and nothing known of its clusters.
    #[must_use]
    pub fn new(target: Arc<str>, table: Arc<Table>) -> Self {
        let unknown = |_: &Arc<str>| ClusterSlot::Broken("the cluster is not known".into());
        let clusters = table.clusters().iter().map(unknown).collect();
        let mut snapshot = Self {
            target,
            stamp: Stamp::default(),
            table,
            clusters: Box::default(),
            named: FxHashMap::default(),
            chains: Arc::default(),
            max_stream_duration: None,
        };
        snapshot.put_clusters(clusters);
        snapshot
    }

    /// The same with these clusters, which stand in the order of the table's.
    ///
    /// Clusters that are too few are not known; those too many are ignored.
    #[must_use]
    pub fn with_clusters(mut self, slots: impl IntoIterator<Item = ClusterSlot>) -> Self {
        let mut clusters = std::mem::take(&mut self.clusters).into_vec();
        clusters.iter_mut().zip(slots).for_each(|(slot, new)| *slot = new);
        self.put_clusters(clusters);
        self
    }

    /// The same with one more cluster that requests may name (`cluster_header`).
    #[must_use]
    pub fn with_named(mut self, name: Arc<str>, slot: ClusterSlot) -> Self {
        self.named.insert(name, slot);
        self
    }

    /// The same with these filters.
    #[must_use]
    pub fn with_chains(mut self, chains: Arc<Chains>) -> Self {
        self.chains = chains;
        self
    }

    /// The same with this stamp.
    #[must_use]
    pub fn with_stamp(mut self, stamp: Stamp) -> Self {
        self.stamp = stamp;
        self
    }

    /// The same with a bound on calls whose route has none of its own (gRFC A31). Zero is none.
    #[must_use]
    pub fn with_max_stream_duration(mut self, bound: Option<Duration>) -> Self {
        self.max_stream_duration = bound;
        self
    }

    /// The target, such as `xds:///greeter`.
    #[must_use]
    pub fn target(&self) -> &Arc<str> {
        &self.target
    }

    /// Which of the target's configurations this is.
    #[must_use]
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// The routes.
    #[must_use]
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The clusters, parallel to those of the table.
    #[must_use]
    pub fn clusters(&self) -> &[ClusterSlot] {
        &self.clusters
    }

    /// The cluster called `name`, if routes or requests have named it. Compares names one by one.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&ClusterSlot> {
        let mut listed = self.table.clusters().iter().zip(&self.clusters);
        let listed = listed.find(|(known, _)| &***known == name).map(|(_, slot)| slot);
        listed.or_else(|| self.named.get(name))
    }

    /// The filters of its routes.
    #[must_use]
    pub fn chains(&self) -> &Arc<Chains> {
        &self.chains
    }

    fn put_clusters(&mut self, clusters: Vec<ClusterSlot>) {
        if self.table.routes().iter().any(|route| is_named_by_request(&route.action)) {
            let names = self.table.clusters().iter().cloned();
            self.named.extend(names.zip(clusters.iter().cloned()));
        }
        self.clusters = clusters.into();
    }
}

fn is_named_by_request(action: &Action) -> bool {
    match action {
        Action::Forward(forward) => matches!(forward.cluster, ClusterChoice::Header(_)),
        Action::DirectResponse { .. }
        | Action::Redirect(_)
        | Action::NonForwarding
        | Action::Unsupported(_) => false,
    }
}
