//! Side calls of the filters of a target.

use std::sync::Arc;

use mesh_core::cluster::Cluster;
use mesh_core::side::{Answer, Call, SideCalls};
use mesh_core::snapshot::{ClusterSlot, Root};

use super::target::Inner;
use crate::side;

/// Sends side calls to the clusters of a target's configuration.
pub(super) struct Side {
    target: Arc<Inner>,
}

impl Side {
    pub(super) fn new(target: &Arc<Inner>) -> Self {
        Self { target: target.clone() }
    }

    fn cluster(&self, name: &str) -> Option<Arc<Cluster>> {
        let root = self.target.root.load();
        let Some(Root::Ready(snapshot)) = root.as_deref() else { return None };
        match snapshot.cluster(name)? {
            ClusterSlot::Ready(cluster) => Some(cluster.clone()),
            ClusterSlot::Broken(_) => None,
        }
    }
}

impl SideCalls for Side {
    fn unary(&self, call: Call) -> Answer {
        side::answer(self.target.context.clone(), self.cluster(&call.cluster), call)
    }
}
