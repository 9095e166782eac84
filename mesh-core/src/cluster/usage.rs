//! What waits for a cluster, and what is open to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::request::RoutingPriority;

/// What waits for a cluster, and what is open to it. Outlives descriptions of the cluster.
#[derive(Debug, Default)]
pub struct Usage {
    pending: [AtomicU32; 2],
    connections: AtomicU32,
}

impl Usage {
    /// Counts a request that waits for a connection, unless `max` of its priority do.
    #[must_use]
    pub fn wait(self: &Arc<Self>, priority: RoutingPriority, max: u32) -> Option<Pending> {
        let before = self.pending[priority.index()].fetch_add(1, Ordering::Relaxed);
        // Taken before it is dropped, which gives the count back.
        let pending = Pending { usage: self.clone(), priority };
        (before < max).then_some(pending)
    }

    /// Requests of `priority` that wait for a connection.
    #[must_use]
    pub fn pending(&self, priority: RoutingPriority) -> u32 {
        self.pending[priority.index()].load(Ordering::Relaxed)
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Notes how many connections are open.
    pub fn set_connections(&self, connections: u32) {
        self.connections.store(connections, Ordering::Relaxed);
    }
}

/// A request that waits. Dropping it ends the count.
#[derive(Debug)]
pub struct Pending {
    usage: Arc<Usage>,
    priority: RoutingPriority,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.usage.pending[self.priority.index()].fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is left of the limits of a cluster (Envoy's `remaining_rq` and the like).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remaining {
    /// Requests that may still start.
    pub requests: u32,
    /// Requests that may still wait for a connection.
    pub pending: u32,
    /// Connections that may still be opened.
    pub connections: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Assignment, Cluster, Config, Discovery, Limits, Version};

    #[test]
    fn priorities_are_counted_apart_and_what_is_left_is_told_on_request() {
        use RoutingPriority::{Default, High};
        let mut config = Config::new("c", Discovery::Static(Arc::default()));
        config.limits = Limits { max_requests: 2, track_remaining: true, ..config.limits };
        config.high = Limits { max_requests: 1, max_pending: 1, ..config.high };
        let version = Version {
            config: Arc::new(config),
            assignment: Arc::<Assignment>::default(),
            note: None,
        };
        let cluster = Cluster::new(version);
        let admit = |priority, max| cluster.admit(priority, max);
        let first = [admit(Default, 2), admit(Default, 2), admit(Default, 2)];
        let second = [admit(High, 1), admit(High, 1)];
        assert_eq!(first.iter().chain(&second).filter(|permit| permit.is_some()).count(), 3);
        assert_eq!(cluster.requests(), 3);
        let usage = cluster.usage();
        usage.set_connections(4);
        let waits = [usage.wait(High, 1), usage.wait(High, 1), usage.wait(Default, 7)];
        assert_eq!(waits.map(|wait| wait.map(drop).is_some()), [true, false, true]);
        let wait = usage.wait(Default, 7);
        let left = Remaining { requests: 0, pending: 1023, connections: 1020 };
        assert_eq!((cluster.remaining(Default), cluster.remaining(High)), (Some(left), None));
        drop((first, second, wait));
        let left = Remaining { requests: 2, pending: 1024, connections: 1020 };
        assert_eq!((cluster.remaining(Default), cluster.requests()), (Some(left), 0));
    }
}
