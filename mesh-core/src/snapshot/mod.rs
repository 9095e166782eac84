//! Everything that one call needs to know, as one value.
//!
//! A [`Snapshot`] is what the control side knows of a target at one moment: its routes, the
//! clusters they lead to, and the filters on the way. It is replaced as a whole, and only when
//! every part of the new one is there (gRFC A74), so a call that has loaded it never meets a route
//! without its cluster. What it decides for a request is a [`Plan`].

mod chains;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use chains::{Chains, FilterConfig};
pub use plan::{NoPlan, Plan};

use rustc_hash::FxHashMap;

use crate::cluster::Cluster;
use crate::route::{Action, ClusterChoice, Table};

/// What is known of a target: the value of the cell that its channels read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Root {
    /// Not everything is there yet; calls wait.
    Waiting {
        /// What is missing, for people.
        why: Arc<str>,
    },
    /// Calls are planned with this.
    Ready(Snapshot),
    /// There will be no configuration unless something changes; calls fail.
    Failed {
        /// What is wrong, for people.
        why: Arc<str>,
    },
}

/// The complete configuration of a target at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The target's listener resource name.
    pub target: Arc<str>,
    /// Goes up by one each time the target's configuration is replaced.
    pub stamp: u64,
    /// The routes.
    pub table: Arc<Table>,
    /// The clusters, parallel to [`Table::clusters`].
    pub clusters: Box<[Slot]>,
    /// Clusters by name, for routes that take the name from a header; empty if there is none.
    pub named: FxHashMap<Arc<str>, Slot>,
    /// The filters of each route.
    pub chains: Chains,
    /// The listener's `max_stream_duration`, for routes that say nothing (gRFC A31).
    pub max_stream_duration: Option<Duration>,
}

/// What is known of a cluster that routes refer to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Slot {
    /// It can be used.
    Known(Arc<Cluster>),
    /// It cannot; calls to it fail, and others do not care.
    Broken(Arc<str>),
}

impl Snapshot {
    /// A snapshot of `table` whose clusters `find` knows.
    #[must_use]
    pub fn new(
        target: impl Into<Arc<str>>,
        table: Arc<Table>,
        mut find: impl FnMut(&Arc<str>) -> Slot,
    ) -> Self {
        let clusters: Box<[Slot]> = table.clusters().iter().map(&mut find).collect();
        let by_header = |route: &Arc<crate::route::Route>| matches!(&route.action, Action::Forward(f) if matches!(f.cluster, ClusterChoice::Header(_)));
        let named = if table.routes().iter().any(by_header) {
            table.clusters().iter().cloned().zip(clusters.iter().cloned()).collect()
        } else {
            FxHashMap::default()
        };
        Self {
            target: target.into(),
            stamp: 0,
            table,
            clusters,
            named,
            chains: Chains::default(),
            max_stream_duration: None,
        }
    }
}
